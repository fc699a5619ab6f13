// NumPy's .npy, version 1.0, float32 in C order: the form in which logits leave for other programs.
//
// Layout: "\x93NUMPY", version 1 0, header length (2 bytes, little-endian), header (a Python
// dictionary, padded with spaces so that the data starts at a multiple of 64), data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "switchyard/file_system.h"

namespace switchyard {

struct NpyArray {
  std::vector<std::int64_t> shape;  // [] is a scalar
  std::vector<float> values;        // row-major
};

// Writes row by row, atomically: nothing stands at `path` before commit().
//
//   NpyWriter out(fs, "logits.npy", {tokens, vocab});
//   for (...) out.append(row);
//   out.commit();
class NpyWriter {
 public:
  NpyWriter(FileSystem& fs, std::string path, const std::vector<std::int64_t>& shape);
  void append(std::span<const float> values);
  // Every element of the shape must have been appended.
  void commit();

 private:
  AtomicFile file_;
  std::uint64_t missing_ = 0;
};

void write_npy(FileSystem& fs, const std::string& path, const std::vector<std::int64_t>& shape,
               std::span<const float> values);

// Versions 1.0 to 3.0, little-endian float32, C order. Throws Error naming the file for anything
// else, and if the data is shorter or longer than the shape says.
NpyArray read_npy(FileSystem& fs, const std::string& path);

}  // namespace switchyard
