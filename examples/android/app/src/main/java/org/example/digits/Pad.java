package org.example.digits;

import android.content.Context;
import android.graphics.Bitmap;
import android.graphics.Canvas;
import android.graphics.Color;
import android.graphics.Paint;
import android.util.AttributeSet;
import android.view.MotionEvent;
import android.view.View;

/** A black square on which a finger draws in white. */
public final class Pad extends View {
    private final Paint paint = new Paint(Paint.ANTI_ALIAS_FLAG);
    private Bitmap picture;
    private Canvas canvas;
    private float lastX;
    private float lastY;
    private Runnable whenDrawn = () -> { };

    public Pad(Context context, AttributeSet attributes) {
        super(context, attributes);
        paint.setColor(Color.WHITE);
        paint.setStrokeCap(Paint.Cap.ROUND);
    }

    void onDrawn(Runnable action) {
        whenDrawn = action;
    }

    void clear() {
        canvas.drawColor(Color.BLACK);
        invalidate();
    }

    /** The picture at the model's size, one value from 0 to 255 a pixel. */
    int[] pixels(int width, int height) {
        Bitmap small = Bitmap.createScaledBitmap(picture, width, height, true);
        int[] colours = new int[width * height];
        small.getPixels(colours, 0, width, 0, 0, width, height);
        for (int i = 0; i < colours.length; i++) {
            colours[i] = Color.red(colours[i]); // it is grey: all three are equal
        }
        return colours;
    }

    @Override
    protected void onSizeChanged(int width, int height, int oldWidth, int oldHeight) {
        picture = Bitmap.createBitmap(width, height, Bitmap.Config.ARGB_8888);
        canvas = new Canvas(picture);
        paint.setStrokeWidth(width / 12f); // a stroke of MNIST is about 2 of 28 pixels wide
        clear();
    }

    @Override
    protected void onDraw(Canvas target) {
        target.drawBitmap(picture, 0, 0, null);
    }

    @Override
    public boolean onTouchEvent(MotionEvent event) {
        float x = event.getX();
        float y = event.getY();
        if (event.getAction() != MotionEvent.ACTION_DOWN) {
            canvas.drawLine(lastX, lastY, x, y, paint);
        }
        lastX = x;
        lastY = y;
        invalidate();
        if (event.getAction() == MotionEvent.ACTION_UP) {
            whenDrawn.run();
        }
        return true;
    }
}
