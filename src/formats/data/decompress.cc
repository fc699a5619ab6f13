#include "formats/data/decompress.h"

#include <algorithm>
#include <lzma.h>
#include <vector>
#include <zlib.h>

#include "switchyard/error.h"

#include "base/check.h"

namespace switchyard::data {
namespace {

constexpr std::size_t kChunk = 1 << 18;
// xz -9 needs 65 MiB; a file that asks for more was made to hurt.
constexpr std::uint64_t kXzMemory = std::uint64_t{256} << 20;

[[noreturn]] void damaged(const ReadableFile& file, const std::string& what) {
  throw Error({.what = what,
               .where = file.path(),
               .expected = "a complete compressed file",
               .fix = "get the file again"});
}

// A decoder is fed input and gives output until it needs more of one of them.
class Decoder {
 public:
  virtual ~Decoder() = default;
  // Consumes from `input` and fills `output`; returns true when the stream has ended and no input
  // is left over.
  virtual bool step(std::span<const std::byte>& input, std::span<std::byte>& output, bool last) = 0;
};

class XzDecoder final : public Decoder {
 public:
  explicit XzDecoder(const ReadableFile& file) : file_(file) {
    SWITCHYARD_CHECK(lzma_stream_decoder(&stream_, kXzMemory, LZMA_CONCATENATED) == LZMA_OK);
  }
  ~XzDecoder() override { lzma_end(&stream_); }

  bool step(std::span<const std::byte>& input, std::span<std::byte>& output, bool last) override {
    stream_.next_in = reinterpret_cast<const std::uint8_t*>(input.data());
    stream_.avail_in = input.size();
    stream_.next_out = reinterpret_cast<std::uint8_t*>(output.data());
    stream_.avail_out = output.size();
    const lzma_ret status = lzma_code(&stream_, last ? LZMA_FINISH : LZMA_RUN);
    input = input.last(stream_.avail_in);
    output = output.last(stream_.avail_out);
    if (status == LZMA_STREAM_END) return true;
    if (status == LZMA_MEMLIMIT_ERROR)
      damaged(file_, "the xz file needs more than 256 MiB to decompress");
    if (status == LZMA_BUF_ERROR) damaged(file_, "the xz file was cut short");
    if (status != LZMA_OK) damaged(file_, "the xz file is damaged");
    return false;
  }

 private:
  const ReadableFile& file_;
  lzma_stream stream_ = LZMA_STREAM_INIT;
};

class GzipDecoder final : public Decoder {
 public:
  explicit GzipDecoder(const ReadableFile& file) : file_(file) {
    SWITCHYARD_CHECK(inflateInit2(&stream_, kGzipWindow) == Z_OK);
  }
  ~GzipDecoder() override { inflateEnd(&stream_); }

  bool step(std::span<const std::byte>& input, std::span<std::byte>& output, bool last) override {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(input.data()));
    stream_.avail_in = static_cast<uInt>(input.size());
    stream_.next_out = reinterpret_cast<Bytef*>(output.data());
    stream_.avail_out = static_cast<uInt>(output.size());
    const int status = inflate(&stream_, Z_NO_FLUSH);
    const bool consumed = stream_.avail_in == 0;
    input = input.last(stream_.avail_in);
    output = output.last(stream_.avail_out);
    if (status == Z_STREAM_END) {
      ended_ = true;
      if (consumed && last) return true;
      inflateReset(&stream_);
      return false;
    }
    if (status == Z_OK) {
      ended_ = false;
      return false;
    }
    if (status != Z_BUF_ERROR) damaged(file_, "the gzip file is damaged");
    // No progress was possible: after the last byte that is the end, or a file cut short.
    if (consumed && last && stream_.avail_out > 0) {
      if (!ended_) damaged(file_, "the gzip file was cut short");
      return true;
    }
    return false;
  }

 private:
  static constexpr int kGzipWindow = 15 + 16;  // the largest window, gzip framing

  const ReadableFile& file_;
  z_stream stream_{};
  bool ended_ = false;  // the last member is complete and nothing of another was seen
};

std::string run(const ReadableFile& file, Decoder& decoder, std::uint64_t limit) {
  std::string content;
  std::vector<std::byte> input_buffer(kChunk);
  std::vector<std::byte> output_buffer(kChunk);
  std::uint64_t position = 0;
  std::span<const std::byte> input;
  for (bool ended = false; !ended;) {
    if (input.empty() && position < file.size()) {
      const auto count =
          static_cast<std::size_t>(std::min<std::uint64_t>(kChunk, file.size() - position));
      const auto chunk = std::span(input_buffer).first(count);
      file.read(position, chunk);
      position += count;
      input = chunk;
    }
    std::span<std::byte> output(output_buffer);
    ended = decoder.step(input, output, position == file.size());
    const std::size_t produced = output_buffer.size() - output.size();
    if (produced > limit - content.size()) {
      throw Error(
          {.what = "the file holds more than " + std::to_string(limit) + " bytes when decompressed",
           .where = file.path(),
           .expected = "at most that many",
           .fix = "split the file"});
    }
    content.append(reinterpret_cast<const char*>(output_buffer.data()), produced);
  }
  return content;
}

}  // namespace

std::string decompress(const ReadableFile& file, Compression compression, std::uint64_t limit) {
  if (compression == Compression::xz) {
    XzDecoder decoder(file);
    return run(file, decoder, limit);
  }
  GzipDecoder decoder(file);
  return run(file, decoder, limit);
}

}  // namespace switchyard::data
