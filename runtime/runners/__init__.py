"""One class for each way to run a file: LiteRT, ONNX Runtime, Keras, compiled C, WebAssembly."""
