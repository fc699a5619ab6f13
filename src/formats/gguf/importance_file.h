// Importance files: for the matrices of a model, the sums of the squares of what each input column
// was multiplied with while calibration text ran through the model, and over how many tokens.
//
// Two kinds are read: GGUF with tensors "NAME.in_sum2" [in, M] and "NAME.counts" [1, M], M the
// experts or 1, which is also what is written; and the older binary one (imatrix.dat), which knows
// no counts per expert. Both name matrices as ggml does. docs/formats/importance.md.
//
// Files are hostile: every length is checked before memory is taken, every value is finite and not
// negative afterwards.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "switchyard/file_system.h"

namespace switchyard {

struct ImportanceEntry {
  std::vector<float> squares;  // [M, in], sums of x^2
  // [M], whole numbers of tokens; or one for all where the file does not tell experts apart
  std::vector<float> counts;

  bool operator==(const ImportanceEntry&) const = default;
};

struct ImportanceData {
  std::string where{};                                            // the file, for messages
  std::map<std::string, ImportanceEntry, std::less<>> entries{};  // by ggml's name of the matrix
  std::vector<std::string> datasets{};                            // names of the texts
  std::uint32_t chunks = 0;      // pieces of text, each with a context of its own
  std::uint32_t chunk_size = 0;  // tokens of a piece; 0: not known
};

// Throws Error naming the file and the entry.
ImportanceData read_importance(FileSystem& fs, const std::string& path);

// The same data makes the same bytes.
void write_importance(FileSystem& fs, const std::string& path, const ImportanceData& data);

}  // namespace switchyard
