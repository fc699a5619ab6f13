// The one way Switchyard reports that something outside the program is wrong: a file, a request, a
// knob, the machine.
//
// Every library function throws Error for bad input and never prints or exits. A bug of ours is not
// an Error: it fails a SWITCHYARD_CHECK (base/check.h) and throws InternalError, which no caller
// should try to repair.
#pragma once

#include <exception>
#include <string>

namespace switchyard {

// Each field is a phrase without a final full stop. An empty field is left out of the line.
//
//   throw Error({.what = "tensor reaches past the end of the file",
//                .where = "model.safetensors: tensor 'lm_head.weight'",
//                .expected = "at most 1048576 bytes of data",
//                .fix = "download the file again"});
//
// reads: tensor reaches past the end of the file (model.safetensors: tensor 'lm_head.weight');
// expected at most 1048576 bytes of data; download the file again
class Error : public std::exception {
 public:
  struct Parts {
    std::string what{};      // what is wrong
    std::string where{};     // file, tensor, field, flag
    std::string expected{};  // what would have been right
    std::string fix{};       // what the reader can do
  };

  explicit Error(Parts parts);

  const Parts& parts() const { return parts_; }
  // The whole message, one line.
  const char* what() const noexcept override { return line_.c_str(); }

 private:
  Parts parts_;
  std::string line_;
};

// A wait, read or computation was given up because a stop was asked for. Not a failure.
class Cancelled : public std::exception {
 public:
  const char* what() const noexcept override { return "stopped on request"; }
};

}  // namespace switchyard
