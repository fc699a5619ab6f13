// The commands that need libtorch, as a module that the `switchyard` binary loads when one of them
// is called.
#pragma once

// argv[0] is the program, argv[1] the command: "train" or "reproduce". Returns the exit code: 0
// done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C. No exception leaves it. One call at a time.
extern "C" int switchyard_training_main(int argc, char** argv);
