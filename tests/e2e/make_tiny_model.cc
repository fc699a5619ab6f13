// make_tiny_model DIRECTORY: a tiny random model with a tokenizer, for tests that are shell
// scripts.
#include <iostream>

#include "support/tiny_model.h"
#include "support/tiny_text_model.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: make_tiny_model DIRECTORY\n";
    return 2;
  }
  switchyard::testing_support::write_tiny_text_model(switchyard::real_file_system(), argv[1],
                                                     switchyard::testing_support::tiny_olmoe());
}
