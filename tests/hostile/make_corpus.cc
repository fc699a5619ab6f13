// Writes the seeds of every format: make_corpus DIRECTORY creates DIRECTORY/<format>/seed-<n>.
#include <cstdio>
#include <string>

#include "switchyard/error.h"
#include "switchyard/file_system.h"

#include "hostile/formats.h"

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: make_corpus DIRECTORY\n");
    return 2;
  }
  try {
    auto& fs = switchyard::real_file_system();
    for (const auto& format : switchyard::hostile::formats()) {
      const std::string directory = std::string(arguments[1]) + "/" + std::string(format.name);
      fs.create_directories(directory);
      int number = 0;
      for (const std::string& seed : format.seeds()) {
        switchyard::write_file_atomically(fs, directory + "/seed-" + std::to_string(number++),
                                          seed);
      }
    }
  } catch (const switchyard::Error& error) {
    std::fprintf(stderr, "make_corpus: %s\n", error.what());
    return 1;
  }
}
