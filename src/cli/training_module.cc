// Training lives in a module that is loaded on demand, because libtorch takes a second and a
// hundred megabytes that inference must not pay for.
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <memory>

#include "switchyard/error.h"

#include "cli/command.h"

namespace switchyard::cli {
namespace {

using TrainingMain = int(int argc, char** argv);
constexpr const char* kModule = "libswitchyard_training.so";

std::filesystem::path module_path() {
  const auto directory = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  for (const auto& candidate : {directory / "../lib/switchyard" / kModule, directory / kModule}) {
    if (std::filesystem::exists(candidate)) return candidate;
  }
  throw Error({.what = "this build has no training",
               .where = (directory / "../lib/switchyard" / kModule).lexically_normal().string(),
               .expected = "the training module",
               .fix = "build with -DSWITCHYARD_TORCH=ON (preset release)"});
}

// libtorch's loops wait for each other by spinning, milliseconds long by default: with anything
// else on the machine, threads spin through the time slices the others need, and training measured
// ten times slower on two busy cores. libgomp reads this once, when it is loaded; a user's own
// setting stands.
void wait_without_spinning() {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  setenv("GOMP_SPINCOUNT", "1000", /*overwrite=*/0);
}

int run_in_module(const char* command, const Arguments& arguments) {
  const std::filesystem::path path = module_path();
  wait_without_spinning();
  // Never unloaded: libtorch leaves threads behind.
  void* module = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) {
    throw Error({.what = "the training module cannot be loaded",
                 .where = path.string(),
                 .expected = "a module of this version with its libraries",
                 .fix = dlerror()});
  }
  auto* entry = reinterpret_cast<TrainingMain*>(dlsym(module, "switchyard_training_main"));
  if (entry == nullptr) {
    throw Error({.what = "the training module has no entry point",
                 .where = path.string(),
                 .expected = "switchyard_training_main",
                 .fix = "build the binary and the module together"});
  }
  std::vector<std::string> storage{"switchyard", command};
  storage.insert(storage.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  argv.reserve(storage.size() + 1);
  for (std::string& s : storage) argv.push_back(s.data());
  argv.push_back(nullptr);
  return entry(static_cast<int>(storage.size()), argv.data());
}

}  // namespace

int run_train(const Arguments& arguments, Console&) { return run_in_module("train", arguments); }
int run_reproduce(const Arguments& arguments, Console&) {
  return run_in_module("reproduce", arguments);
}

}  // namespace switchyard::cli
