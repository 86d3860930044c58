package org.example.digits;

import android.app.Activity;
import android.content.res.AssetFileDescriptor;
import android.os.Bundle;
import android.widget.TextView;
import java.io.FileInputStream;
import java.io.IOException;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;

/** Draw a digit, read what it is. */
public final class MainActivity extends Activity {
    private static final String MODEL = "lenet5-mnist.int8.tflite";
    private Classifier classifier;

    @Override
    protected void onCreate(Bundle state) {
        super.onCreate(state);
        setContentView(R.layout.main);
        try {
            classifier = new Classifier(model());
        } catch (IOException error) {
            throw new IllegalStateException("app/src/main/assets has no " + MODEL, error);
        }
        Pad pad = findViewById(R.id.pad);
        TextView answer = findViewById(R.id.answer);
        pad.onDrawn(() -> answer.setText(
                String.valueOf(classifier.classify(pad.pixels(classifier.width, classifier.height)))));
        findViewById(R.id.clear).setOnClickListener(button -> {
            pad.clear();
            answer.setText("");
        });
    }

    @Override
    protected void onDestroy() {
        classifier.close();
        super.onDestroy();
    }

    private MappedByteBuffer model() throws IOException {
        try (AssetFileDescriptor asset = getAssets().openFd(MODEL);
                FileInputStream stream = new FileInputStream(asset.getFileDescriptor())) {
            return stream.getChannel().map(
                    FileChannel.MapMode.READ_ONLY, asset.getStartOffset(), asset.getDeclaredLength());
        }
    }
}
