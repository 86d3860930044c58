package org.example.digits;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.tensorflow.lite.DataType;
import org.tensorflow.lite.Interpreter;

/** An int8 .tflite of mnist-export: pixels in, the class out. Nothing is computed in float. */
final class Classifier implements AutoCloseable {
    private final Interpreter interpreter;
    private final ByteBuffer input;
    private final ByteBuffer output;
    final int height;
    final int width;

    Classifier(ByteBuffer model) {
        interpreter = new Interpreter(model, new Interpreter.Options().setNumThreads(1));
        if (interpreter.getInputTensor(0).dataType() != DataType.INT8) {
            throw new IllegalArgumentException("expected an int8 input: export with --int8");
        }
        int[] shape = interpreter.getInputTensor(0).shape(); // 1, height, width, channels
        if (shape[3] != 1) {
            throw new IllegalArgumentException("expected pictures in grey, found " + shape[3] + " channels");
        }
        height = shape[1];
        width = shape[2];
        input = ByteBuffer.allocateDirect(height * width).order(ByteOrder.nativeOrder());
        output = ByteBuffer.allocateDirect(interpreter.getOutputTensor(0).numBytes()).order(ByteOrder.nativeOrder());
    }

    /** The class of a picture in grey, row by row; white on black, as in MNIST. */
    int classify(int[] pixels) {
        input.rewind();
        for (int pixel : pixels) {
            input.put((byte) (pixel - 128)); // an int8 input is the pixel minus 128
        }
        input.rewind();
        output.rewind();
        interpreter.run(input, output);
        int best = 0;
        for (int i = 1; i < output.capacity(); i++) {
            if (output.get(i) > output.get(best)) {
                best = i;
            }
        }
        return best;
    }

    @Override
    public void close() {
        interpreter.close();
    }
}
