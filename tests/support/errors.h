// Running code that must throw Error, and looking at the parts of the message.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "switchyard/error.h"

namespace switchyard::testing_support {

// The parts of the Error that `code` throws; fails the test if it throws none.
template <typename Code>
Error::Parts error_of(Code&& code) {
  try {
    code();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.parts();
  }
  ADD_FAILURE() << "no Error was thrown";
  return {};
}

}  // namespace switchyard::testing_support
