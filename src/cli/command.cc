#include "cli/command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <exception>
#include <iomanip>
#include <new>
#include <ostream>

#include "switchyard/error.h"

#include "cli/version.h"

namespace switchyard::cli {
namespace {

constexpr std::array kCommands = {
    Command{"train", "train a model from a recipe", run_train},
    Command{"reproduce", "re-measure a paper's claim: arms x seeds, table, plot", run_reproduce},
    Command{"eval", "perplexity of a model on a text, and how far it is from another's", run_eval},
    Command{"run", "continue a text, in as little memory as you say", run_run},
    Command{"chat", "talk with a model in the terminal", run_chat},
    Command{"inspect", "what a model consists of and where the tokens of a text go", run_inspect},
    Command{"bench", "speed and memory under budgets, against the machine's limits", run_bench},
    Command{"importance", "what in a model matters to a text, for quantising it", run_importance},
    Command{"convert", "element type and packing of a model directory", run_convert},
    Command{"synth", "a model of random weights, of any family, shape and type", run_synth},
    Command{"tokenizer", "train a tokenizer, encode, decode", run_tokenizer},
    Command{"logits", "every position's logits as .npy, to compare with other programs",
            run_logits},
};

void print_overview(std::ostream& out) {
  out << "switchyard " << kVersion
      << ": train, reshape, run and compose models of routed experts\n\n"
      << "usage: switchyard COMMAND [ARGUMENTS]\n\ncommands:\n";
  for (const Command& c : kCommands)
    out << "  " << std::left << std::setw(12) << c.name << c.what << '\n';
  out << "\nswitchyard COMMAND --help explains a command and shows an example.\n"
      << "example: switchyard run models/tiny-stories-moe -p \"Once upon a time\" -n 100 "
         "--mem-budget 25%\n";
}

int fail(Console& console, const std::string& line, int code) {
  console.out.flush();
  console.err << "switchyard: error: " << line << '\n';
  return code;
}

}  // namespace

std::span<const Command> commands() { return kCommands; }

int run_command_line(const Arguments& arguments, Console& console) {
  if (arguments.empty()) {
    print_overview(console.err);
    return kWrongUsage;
  }
  const std::string& name = arguments.front();
  if (name == "--help" || name == "-h" || name == "help") {
    print_overview(console.out);
    return kDone;
  }
  if (name == "--version") {
    console.out << "switchyard " << kVersion << '\n';
    return kDone;
  }
  const auto* command = std::ranges::find(kCommands, name, &Command::name);
  if (command == kCommands.end()) {
    return fail(console, "there is no command '" + name + "'; switchyard --help lists the commands",
                kWrongUsage);
  }
  try {
    const int code = command->run({arguments.begin() + 1, arguments.end()}, console);
    console.out.flush();
    if (!console.out) return fail(console, "cannot write to standard output", kFailed);
    return code;
  } catch (const CLI::ParseError& e) {
    return fail(console, std::string(e.what()) + "; see switchyard " + name + " --help",
                kWrongUsage);
  } catch (const Cancelled&) {
    console.err << "switchyard: stopped\n";
    return kStopped;
  } catch (const Error& e) {
    return fail(console, e.what(), kFailed);
  } catch (const std::bad_alloc&) {
    return fail(console, "out of memory; lower --mem-budget, the context (-c) or the batch (-b)",
                kFailed);
  } catch (const std::exception& e) {
    return fail(console, e.what(), kFailed);
  }
}

}  // namespace switchyard::cli
