// The commands of the binary, as one visible table. A command parses its arguments, validates,
// calls a library, prints.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/console.h"

namespace switchyard::cli {

// Exit codes of the binary.
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kWrongUsage = 2;
inline constexpr int kStopped = 130;  // 128 + SIGINT, as shells report it

using Arguments = std::vector<std::string>;  // without the binary's and the command's name

struct Command {
  std::string_view name;
  std::string_view what;  // one line for the overview
  int (*run)(const Arguments& arguments, Console& console);
};

std::span<const Command> commands();

// Finds and runs the command; turns every exception into one line on `err` and an exit code.
int run_command_line(const Arguments& arguments, Console& console);

// One function a command, each in a file of its own.
int run_bench(const Arguments& arguments, Console& console);
int run_chat(const Arguments& arguments, Console& console);
int run_convert(const Arguments& arguments, Console& console);
int run_eval(const Arguments& arguments, Console& console);
int run_importance(const Arguments& arguments, Console& console);
int run_inspect(const Arguments& arguments, Console& console);
int run_logits(const Arguments& arguments, Console& console);
int run_reproduce(const Arguments& arguments, Console& console);
int run_run(const Arguments& arguments, Console& console);
int run_synth(const Arguments& arguments, Console& console);
int run_tokenizer(const Arguments& arguments, Console& console);
int run_train(const Arguments& arguments, Console& console);

}  // namespace switchyard::cli
