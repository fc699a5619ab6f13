// Loads the training module and calls it with the rest of the command line: training_runner MODULE
// train RECIPE ...
#include <cstdio>
#include <dlfcn.h>

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: training_runner MODULE COMMAND [ARGUMENTS]\n");
    return 2;
  }
  void* module = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) {
    std::fprintf(stderr, "training_runner: %s\n", dlerror());
    return 1;
  }
  auto* entry = reinterpret_cast<int (*)(int, char**)>(dlsym(module, "switchyard_training_main"));
  if (entry == nullptr) {
    std::fprintf(stderr, "training_runner: %s\n", dlerror());
    return 1;
  }
  return entry(argc - 1, argv + 1);
}
