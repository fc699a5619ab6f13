// Labelled images: IDX (the MNIST family) and CIFAR-10 in its binary form.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "switchyard/file_system.h"

namespace switchyard::data {

struct ImageSet {
  std::size_t count = 0;  // N
  std::size_t channels = 0, height = 0, width = 0;
  std::vector<std::uint8_t> pixels;  // [N, channels, height, width]
  std::vector<std::uint8_t> labels;  // [N]
};

// `images` and `labels` are the contents of the two files. Throws Error if a magic number, a
// dimension or a length is wrong, the numbers of images and labels differ, or a label is not below
// `classes`.
ImageSet parse_idx(std::string_view images, std::string_view labels, int classes,
                   const std::string& images_where, const std::string& labels_where);
ImageSet read_idx(FileSystem& fs, const std::string& images, const std::string& labels,
                  int classes = 10);

// Appends the images of one batch file: records of a label byte and 3 * 32 * 32 pixels. Throws
// Error if the length is no whole number of records or a label is not below 10.
void parse_cifar10(std::string_view content, const std::string& where, ImageSet& images);
// The batches one after the other.
ImageSet read_cifar10(FileSystem& fs, std::span<const std::string> paths);

}  // namespace switchyard::data
