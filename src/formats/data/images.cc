#include "formats/data/images.h"

#include <array>
#include <cstring>

#include "switchyard/error.h"

#include "base/checked_math.h"
#include "formats/data/source.h"

namespace switchyard::data {
namespace {

constexpr std::uint32_t kIdxBytes =
    0x00000800;  // unsigned bytes; the last byte counts the dimensions
constexpr std::size_t kCifarPixels = std::size_t{3} * 32 * 32;
constexpr std::size_t kCifarRecord = 1 + kCifarPixels;
constexpr const char* kGetAgain = "get the file again";

std::uint32_t big_endian(std::string_view bytes, std::size_t offset) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i)
    value = value << 8 | static_cast<std::uint8_t>(bytes[offset + i]);
  return value;
}

// The dimensions of an IDX file of unsigned bytes whose data is exactly as long as they say.
template <std::size_t rank>
std::array<std::uint64_t, rank> idx_dimensions(std::string_view content, const std::string& where) {
  constexpr std::size_t kHeader = 4 + 4 * rank;
  if (content.size() < kHeader || big_endian(content, 0) != (kIdxBytes | rank)) {
    throw Error({.what = "the file does not start as IDX with " + std::to_string(rank) +
                         " dimensions of bytes does",
                 .where = where,
                 .expected = rank == 1 ? "a file of labels" : "a file of images",
                 .fix = kGetAgain});
  }
  std::array<std::uint64_t, rank> dimensions{};
  std::optional<std::uint64_t> bytes = 1;
  for (std::size_t i = 0; i < rank; ++i) {
    dimensions[i] = big_endian(content, 4 + 4 * i);
    if (bytes) bytes = checked_multiply(*bytes, dimensions[i]);
  }
  if (bytes != content.size() - kHeader) {
    throw Error(
        {.what = "the file holds " + std::to_string(content.size() - kHeader) + " bytes of data",
         .where = where,
         .expected =
             bytes ? std::to_string(*bytes) + " for its dimensions" : "dimensions that fit a file",
         .fix = kGetAgain});
  }
  return dimensions;
}

void check_label(std::uint8_t label, int classes, std::size_t index, const std::string& where) {
  if (label < classes) return;
  throw Error({.what = "label " + std::to_string(index) + " is " + std::to_string(label),
               .where = where,
               .expected = "0 to " + std::to_string(classes - 1),
               .fix = kGetAgain});
}

}  // namespace

ImageSet parse_idx(std::string_view images, std::string_view labels, int classes,
                   const std::string& images_where, const std::string& labels_where) {
  const auto [count, height, width] = idx_dimensions<3>(images, images_where);
  const auto [label_count] = idx_dimensions<1>(labels, labels_where);
  if (count != label_count) {
    throw Error(
        {.what = std::to_string(count) + " images and " + std::to_string(label_count) + " labels",
         .where = images_where + ", " + labels_where,
         .expected = "as many labels as images",
         .fix = "give two files that belong together"});
  }
  ImageSet set;
  set.count = count;
  set.channels = 1;
  set.height = height;
  set.width = width;
  const std::string_view pixels = images.substr(images.size() - count * height * width);
  const std::string_view classes_of = labels.substr(labels.size() - count);
  set.pixels.assign(pixels.begin(), pixels.end());
  set.labels.assign(classes_of.begin(), classes_of.end());
  for (std::size_t i = 0; i < count; ++i) check_label(set.labels[i], classes, i, labels_where);
  return set;
}

ImageSet read_idx(FileSystem& fs, const std::string& images, const std::string& labels,
                  int classes) {
  return parse_idx(read_bytes(fs, images), read_bytes(fs, labels), classes, images, labels);
}

void parse_cifar10(std::string_view content, const std::string& where, ImageSet& images) {
  if (content.size() % kCifarRecord != 0) {
    throw Error(
        {.what = "the file holds " + std::to_string(content.size()) + " bytes",
         .where = where,
         .expected = "a multiple of " + std::to_string(kCifarRecord) + ", the bytes of one record",
         .fix = kGetAgain});
  }
  images.channels = 3;
  images.height = images.width = 32;
  const std::size_t records = content.size() / kCifarRecord;
  for (std::size_t i = 0; i < records; ++i) {
    const std::string_view record = content.substr(i * kCifarRecord, kCifarRecord);
    check_label(static_cast<std::uint8_t>(record.front()), 10, i, where);
    images.labels.push_back(static_cast<std::uint8_t>(record.front()));
    images.pixels.insert(images.pixels.end(), record.begin() + 1, record.end());
  }
  images.count += records;
}

ImageSet read_cifar10(FileSystem& fs, std::span<const std::string> paths) {
  ImageSet images;
  for (const std::string& path : paths) parse_cifar10(read_bytes(fs, path), path, images);
  return images;
}

}  // namespace switchyard::data
