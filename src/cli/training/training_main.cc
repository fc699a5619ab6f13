#include "cli/training/training_main.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <fmt/format.h>
#include <string>

#include "switchyard/error.h"

#include "base/stop_signal.h"
#include "cli/training/commands.h"
#include "models/allocator_tuning.h"

namespace switchyard::cli {
namespace {

int fail(int code, const std::string& line) {
  fmt::print(stderr, "switchyard: error: {}\n", line);
  return code;
}

// libtorch's messages go on with a stack trace after their first line.
std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

int dispatch(const std::string& command, const Arguments& arguments) {
  const StopSignal signal;
  const auto code = [&](int returned) {
    return returned == kStopped ? 128 + signal.signal() : returned;
  };
  if (command == "train") return code(run_train(arguments, signal.token()));
  if (command == "reproduce") return code(run_reproduce(arguments, signal.token()));
  return fail(kWrongUsage, fmt::format("there is no command '{}' in the training module", command));
}

}  // namespace
}  // namespace switchyard::cli

extern "C" int switchyard_training_main(int argc, char** argv) {
  using namespace switchyard;
  using namespace switchyard::cli;
  if (argc < 2) return fail(kWrongUsage, "no command given; expected train or reproduce");
  const std::string command = argv[1];
  try {
    models::keep_freed_memory();
    return dispatch(command, {argv + 2, argv + argc});
  } catch (const CLI::ParseError& error) {
    return fail(kWrongUsage, fmt::format("{}; see switchyard {} --help", error.what(), command));
  } catch (const Cancelled&) {
    fmt::print(stderr, "switchyard: stopped\n");
    return kStopped;
  } catch (const Error& error) {
    return fail(kFailed, error.what());
  } catch (const std::bad_alloc&) {
    return fail(kFailed, "out of memory; lower train.batch or the model's size");
  } catch (const std::exception& error) {
    return fail(kFailed, first_line(error.what()));
  }
}
