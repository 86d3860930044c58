"""The build environments that C++ for TensorFlow Lite Micro is written for."""

from __future__ import annotations

from typing import Final

from mnist_export.export.tflm_source import Board

_SHOW: Final = """\
  static uint8_t pixels[@PIXELS@];  // your image
  const int answer = @NAME@_classify(pixels);
"""

BOARDS: Final = {
    "tflm": Board(
        extension=".tflm.cc",
        hint="Compile it with TensorFlow Lite Micro: github.com/tensorflow/tflite-micro.",
    ),
    "arduino": Board(
        extension=".arduino.cpp",
        hint="With the library tflite-micro-arduino-examples; an empty .ino of any name beside it.",
        includes="#include <Arduino.h>\n#include <TensorFlowLite.h>\n",
        entry="""\
void setup() {
  Serial.begin(115200);
  if (!@NAME@_setup()) Serial.println("the arena is too small");
}

void loop() {
"""
        + _SHOW
        + """\
  Serial.println(answer < 0 ? "failed" : @ANSWER@);
  delay(1000);
}
""",
    ),
    "esp32": Board(
        extension=".esp32.cc",
        hint="In an ESP-IDF project: idf.py add-dependency esp-tflite-micro",
        entry="""\
extern "C" void app_main(void) {
  if (!@NAME@_setup()) {
    printf("the arena is too small\\n");
    return;
  }
"""
        + _SHOW
        + """\
  printf("%s\\n", answer < 0 ? "failed" : @ANSWER@);
}
""",
    ),
    "pico": Board(
        extension=".pico.cc",
        hint="With pico-tflmicro: target_link_libraries(... pico-tflmicro pico_stdlib)",
        includes='#include "pico/stdlib.h"\n',
        entry="""\
int main() {
  stdio_init_all();
  if (!@NAME@_setup()) return 1;
"""
        + _SHOW
        + """\
  printf("%s\\n", answer < 0 ? "failed" : @ANSWER@);
  return 0;
}
""",
    ),
}
"""By the name of the usage that a target states."""
