// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A KMS that breaks, lies, refuses or is silent while the plugin runs: no wrong success, no
// restart, and what comes after works.

#include <signal.h>
#include <sys/stat.h>

#include <future>
#include <string>
#include <utility>
#include <vector>

#include "integration/plugin_test.h"

namespace okms::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

// A check of a key that works comes every 10 seconds; it encrypts and decrypts every 30 or so.
constexpr seconds kTwoChecks{30};
constexpr seconds kTwoProofs{80};
constexpr int kSessions = 8;  // at most

class FaultsTest : public PluginTest {
 protected:
  FaultsTest() {
    StartKms();
    StartReady();
  }

  // Makes calls on all sessions that the plugin may have at once, and opens those that are missing.
  void UseAllSessions() {
    kms().SetDelay(milliseconds(30));
    std::vector<std::future<absl::Status>> calls;
    calls.reserve(std::size_t{2} * kSessions);
    for (int i = 0; i < 2 * kSessions; ++i) {
      calls.push_back(std::async(std::launch::async, [&, plaintext = NewPlaintext()] {
        return client().Encrypt(plaintext).status();
      }));
    }
    for (auto& call : calls) EXPECT_THAT(call.get(), IsOk());
    kms().SetDelay(milliseconds(0));
  }
  void OpenAllSessions() {
    ASSERT_TRUE(WaitUntil([&] {
      UseAllSessions();
      return kms().connections() >= kSessions;
    }));
  }
  // To be called after OpenAllSessions: a new connection then replaces one that was given up.
  void ExpectNewSessionAfter(int connections) {
    EXPECT_TRUE(WaitUntil(
        [&] {
          UseAllSessions();
          return kms().connections() > connections;
        },
        seconds(3)))
        << "a session that cannot be trusted is used again";
  }

  // A failed call makes the key suspect, so the next check comes at once.
  void PromptCheck() {
    SetFault("refuse=GeneralFailure:Encrypt:1");
    EXPECT_THAT(client().Encrypt(NewPlaintext()), StatusIs(Code::kInternal, HasSubstr("told to")));
  }
};

TEST_F(FaultsTest, DroppedConnectionsAreNotNoticed) {
  for (int i = 0; i < 5; ++i) {
    kms().DropConnections();
    ExpectRoundTrip();
  }
  EXPECT_GE(kms().connections(), 6);
}

TEST_F(FaultsTest, KmsThatRestartsIsNotNoticed) {
  const std::string plaintext = NewPlaintext();
  const auto record = client().Encrypt(plaintext);
  ASSERT_THAT(record, IsOk());
  for (int i = 0; i < 3; ++i) {
    StopKms();
    StartKms();
    const auto back = client().Decrypt(*record);
    ASSERT_THAT(back, IsOk());
    EXPECT_TRUE(*back == plaintext);
  }
  ExpectRoundTrip();
}

TEST_F(FaultsTest, KmsThatIsDownIsSaidSoAndComesBack) {
  StopKms();
  const std::string reason = absl::StrCat("127.0.0.1:", port(), ": connect: Connection refused");
  EXPECT_THAT(client().Encrypt(NewPlaintext()), StatusIs(Code::kUnavailable, reason));
  EXPECT_THAT(AwaitStatus(Code::kUnavailable), StatusIs(Code::kUnavailable, reason));
  StartKms();
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
  EXPECT_TRUE(plugin().WaitForLine("notice: ready again: key key-1")) << plugin().Err();
  ExpectRoundTrip();
}

// Once: the second attempt hides it. Always: an error, and the call after it works.
struct Broken {
  const char* fault;
  Code code;
};

class BrokenConnectionTest : public FaultsTest, public testing::WithParamInterface<Broken> {};

TEST_P(BrokenConnectionTest, OnceAtEncryptIsHidden) {
  SetFault(absl::StrCat(GetParam().fault, ":Encrypt:1"));
  ExpectRoundTrip();
}

TEST_P(BrokenConnectionTest, OnceAtDecryptIsHidden) {
  SetFault(absl::StrCat(GetParam().fault, ":Decrypt:1"));
  ExpectRoundTrip();
}

TEST_P(BrokenConnectionTest, ForLongerIsAnErrorAndThenForgotten) {
  const auto record = client().Encrypt(NewPlaintext());
  ASSERT_THAT(record, IsOk());
  SetFault(absl::StrCat(GetParam().fault, ":Encrypt"));
  EXPECT_THAT(client().Encrypt(NewPlaintext()),
              StatusIs(GetParam().code, HasSubstr("KMIP Encrypt: ")));
  SetFault(absl::StrCat(GetParam().fault, ":Decrypt"));
  EXPECT_THAT(client().Decrypt(*record), StatusIs(GetParam().code, HasSubstr("KMIP Decrypt: ")));
  ClearFault();
  // After an answer that makes no sense nothing is encrypted until the key is proven.
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
  ExpectRoundTrip();
}

INSTANTIATE_TEST_SUITE_P(Kind, BrokenConnectionTest,
                         testing::Values(Broken{"reset", Code::kUnavailable},
                                         Broken{"close", Code::kUnavailable},
                                         Broken{"truncate", Code::kUnavailable},
                                         Broken{"garbage", Code::kDataLoss},
                                         Broken{"oversize", Code::kDataLoss}),
                         [](const auto& test) { return std::string(test.param.fault); });

// Answers that make no sense.
class WrongAnswerTest : public FaultsTest, public testing::WithParamInterface<const char*> {};

TEST_P(WrongAnswerTest, IsNeverASuccess) {
  const auto record = client().Encrypt(NewPlaintext());
  ASSERT_THAT(record, IsOk());
  SetFault(absl::StrCat(GetParam(), ":Encrypt"));
  EXPECT_THAT(client().Encrypt(NewPlaintext()),
              StatusIs(Code::kDataLoss, HasSubstr("KMIP Encrypt: ")));
  SetFault(absl::StrCat(GetParam(), ":Decrypt"));
  EXPECT_THAT(client().Decrypt(*record), StatusIs(Code::kDataLoss, HasSubstr("KMIP Decrypt: ")));
  ClearFault();
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
  ExpectRoundTrip();
}

TEST_P(WrongAnswerTest, EndsItsSession) {
  // A reply that is not ours may be the first of many that are one too late, and the next of them
  // may look right.
  const auto record = client().Encrypt(NewPlaintext());
  ASSERT_THAT(record, IsOk());
  OpenAllSessions();
  const int before = kms().connections();
  SetFault(absl::StrCat(GetParam(), ":Decrypt:1"));
  client().Decrypt(*record).IgnoreError();  // an error, or hidden by a second attempt
  ExpectNewSessionAfter(before);
}

TEST_P(WrongAnswerTest, KeepsAKeyFromBeingAdopted) {
  for (const char* const operation : {"Encrypt", "Decrypt"}) {
    SCOPED_TRACE(operation);
    ASSERT_EQ(StopPlugin(), 0);
    SetFault(absl::StrCat(GetParam(), ":", operation));
    StartPlugin();
    EXPECT_THAT(client().Status(),
                StatusIs(Code::kDataLoss, HasSubstr(absl::StrCat("KMIP ", operation, ": "))));
    ClearFault();
  }
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
}

INSTANTIATE_TEST_SUITE_P(Kind, WrongAnswerTest,
                         testing::Values("wrong-operation", "wrong-version", "other-id", "no-id",
                                         "no-payload", "no-operation", "other-key", "short-data"),
                         [](const auto& test) {
                           std::string name = test.param;
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

TEST_F(FaultsTest, AKeyWhoseCiphertextDecryptsToSomethingElseIsNotAdopted) {
  ASSERT_EQ(StopPlugin(), 0);
  SetFault("wrong-data:Decrypt");
  StartPlugin();
  const std::string reason =
      "key key-1: the KMS decrypted its own ciphertext to something else; nothing is encrypted "
      "with "
      "this key";
  EXPECT_THAT(client().Status(), StatusIs(Code::kDataLoss, reason));
  EXPECT_THAT(client().Encrypt(NewPlaintext()), StatusIs(Code::kDataLoss, reason));
  ClearFault();
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
  ExpectRoundTrip();
}

TEST_F(FaultsTest, AHungEncryptEndsByTheCallersDeadline) {
  OpenAllSessions();
  const int before = kms().connections();
  SetFault("hang:Encrypt");
  const auto impatient = NewClient({.timeout = milliseconds(1000)});
  const Deadline begin = Clock::now();
  // The reason, not the caller's own clock.
  EXPECT_THAT(impatient->Encrypt(NewPlaintext()),
              StatusIs(Code::kDeadlineExceeded, absl::StrCat("KMIP Encrypt: 127.0.0.1:", port(),
                                                             ": read: no answer in time")));
  EXPECT_LT(Clock::now() - begin, seconds(3));
  ClearFault();
  ExpectRoundTrip();
  ExpectNewSessionAfter(before);
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
}

TEST_F(FaultsTest, AHungCallEndsByTheTimeoutOfThePlugin) {
  ASSERT_EQ(StopPlugin(), 0);
  flags_["--timeout"] = "1s";
  StartReady();
  SetFault("hang:Encrypt");
  const auto patient = NewClient({.timeout = kPatience});
  EXPECT_THAT(patient->Encrypt(NewPlaintext()),
              StatusIs(Code::kDeadlineExceeded, HasSubstr("KMIP Encrypt: ")));
}

TEST_F(FaultsTest, HungCallsHoldUpNoOther) {
  const auto record = client().Encrypt(NewPlaintext());
  ASSERT_THAT(record, IsOk());
  SetFault("hang:Decrypt:4");  // each encryption is followed by a decryption of its own
  const auto stuck = NewClient();
  std::vector<std::future<absl::Status>> outcomes;
  outcomes.reserve(4);
  for (int i = 0; i < 4; ++i) {
    outcomes.push_back(
        std::async(std::launch::async, [&] { return stuck->Decrypt(*record).status(); }));
  }
  ASSERT_TRUE(WaitUntil([&] { return kms().fault_is_over(); }));
  for (int i = 0; i < 5; ++i) {
    EXPECT_THAT(client().Encrypt(NewPlaintext()), IsOk());
    EXPECT_THAT(client().Status(), IsOk());
  }
  for (auto& outcome : outcomes) {
    ASSERT_EQ(outcome.wait_for(kPatience), std::future_status::ready);
    EXPECT_THAT(outcome.get(), StatusIs(Code::kDeadlineExceeded, HasSubstr("no answer in time")));
  }
}

TEST_F(FaultsTest, MoreHungCallsThanSessionsAllEndByTheirDeadline) {
  const auto record = client().Encrypt(NewPlaintext());
  ASSERT_THAT(record, IsOk());
  SetFault("hang");
  const auto stuck = NewClient({.timeout = milliseconds(1500)});
  std::vector<std::future<absl::Status>> outcomes;
  outcomes.reserve(40);
  for (int i = 0; i < 40; ++i) {
    outcomes.push_back(
        std::async(std::launch::async, [&] { return stuck->Decrypt(*record).status(); }));
  }
  for (auto& outcome : outcomes) {
    ASSERT_EQ(outcome.wait_for(kPatience), std::future_status::ready);
    EXPECT_EQ(outcome.get().code(), Code::kDeadlineExceeded);
  }
  ClearFault();
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
  // A check may still hang, and a session that was opened meanwhile: a call may come too soon.
  EXPECT_TRUE(WaitUntil([&] { return client().Encrypt(NewPlaintext()).ok(); }));
  ExpectRoundTrip();
}

TEST_F(FaultsTest, AHungCallDoesNotHoldUpTheEnd) {
  ASSERT_EQ(StopPlugin(), 0);
  flags_["--timeout"] = "2s";
  StartReady();
  SetFault("hang:Encrypt");
  const auto stuck = NewClient({.timeout = kPatience});
  const auto asked = [&] { return kms().handler().Counts()[0x1F]; };
  const int before = asked();
  auto outcome = std::async(std::launch::async, [&, plaintext = NewPlaintext()] {
    return stuck->Encrypt(plaintext).status();
  });
  ASSERT_TRUE(WaitUntil([&] { return asked() > before; }));
  plugin().Signal(SIGTERM);
  EXPECT_EQ(plugin().Wait(seconds(10)), 0);
  ASSERT_EQ(outcome.wait_for(kPatience), std::future_status::ready);
  EXPECT_FALSE(outcome.get().ok());
  ClearFault();
  StartReady();  // it must be possible
}

// A KMS that is stopped: whatever waits for it, a check above all, must not hold up the end.
TEST_F(FaultsTest, ACheckThatHangsDoesNotHoldUpTheEnd) {
  SetFault("hang");
  const auto asked = [&] { return kms().handler().Counts()[0x0B]; };  // GetAttributes
  const int before = asked();
  ASSERT_TRUE(WaitUntil([&] { return asked() > before; }));  // and --timeout is 10 s
  const Deadline begin = Clock::now();
  plugin().Signal(SIGTERM);
  EXPECT_EQ(plugin().Wait(seconds(10)), 0);
  EXPECT_LT(Clock::now() - begin, seconds(3));
  EXPECT_THAT(plugin().Err(), Not(HasSubstr("not ready")));
  ClearFault();
  StartReady();
}

TEST_F(FaultsTest, ARefusedEncryptIsSaidByStatusUntilItEnds) {
  SetFault("refuse=PermissionDenied:Encrypt");
  const std::string reason = "KMIP Encrypt refused: PermissionDenied: told to";
  EXPECT_THAT(client().Encrypt(NewPlaintext()), StatusIs(Code::kPermissionDenied, reason));
  EXPECT_THAT(AwaitStatus(Code::kPermissionDenied),
              StatusIs(Code::kPermissionDenied, HasSubstr(reason)));
  ClearFault();
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
  ExpectRoundTrip();
}

TEST_F(FaultsTest, ARefusedEncryptIsSeenByItself) {
  SetFault("refuse=PermissionDenied:Encrypt");
  EXPECT_THAT(AwaitStatus(Code::kPermissionDenied, kTwoProofs),
              StatusIs(Code::kPermissionDenied,
                       HasSubstr("KMIP Encrypt refused: PermissionDenied: told to")));
  ClearFault();
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
  ExpectRoundTrip();
}

TEST_F(FaultsTest, ADeactivatedKeyIsSeenByItself) {
  SetKeyState(kmip::State::kDeactivated);
  EXPECT_THAT(AwaitStatus(Code::kFailedPrecondition, kTwoChecks),
              StatusIs(Code::kFailedPrecondition, "key key-1 is in state Deactivated, not Active"));
  EXPECT_THAT(client().Encrypt(NewPlaintext()),
              StatusIs(Code::kPermissionDenied, HasSubstr("the object is Deactivated")));
  SetKeyState(kmip::State::kActive);
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
  ExpectRoundTrip();
}

TEST_F(FaultsTest, ADestroyedKeyIsNotFound) {
  kms().handler().Remove("key-1");
  EXPECT_THAT(client().Encrypt(NewPlaintext()),
              StatusIs(Code::kNotFound, "KMIP Encrypt refused: ItemNotFound: no object key-1"));
  EXPECT_THAT(AwaitStatus(Code::kNotFound),
              StatusIs(Code::kNotFound, HasSubstr("ItemNotFound: no object key-1")));
  kms().handler().Put(key_);
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
}

TEST_F(FaultsTest, AKeyThatLosesItsUsageIsRefused) {
  key_.usage_mask = kmip::kUsageEncrypt;
  kms().handler().Put(key_);
  PromptCheck();
  EXPECT_THAT(AwaitStatus(Code::kFailedPrecondition),
              StatusIs(Code::kFailedPrecondition, "key key-1 may not Decrypt by its usage mask"));
}

// What a key must be before it is used.
struct Unfit {
  const char* name;
  const char* key;
  kmip::ObjectType type;
  uint32_t algorithm;
  const char* reason;
};

class UnfitKeyTest : public PluginTest, public testing::WithParamInterface<Unfit> {};

TEST_P(UnfitKeyTest, IsRefusedWithTheReason) {
  key_ = Must(ParseMockKey(GetParam().key));
  key_.object_type = GetParam().type;
  key_.algorithm = static_cast<kmip::CryptographicAlgorithm>(GetParam().algorithm);
  StartKms();
  StartPlugin();
  EXPECT_THAT(client().Status(), StatusIs(Code::kFailedPrecondition, GetParam().reason));
  EXPECT_THAT(client().Encrypt(NewPlaintext()),
              StatusIs(Code::kFailedPrecondition, GetParam().reason));
}

constexpr auto kSymmetric = kmip::ObjectType::kSymmetricKey;
INSTANTIATE_TEST_SUITE_P(
    Kind, UnfitKeyTest,
    testing::Values(Unfit{"pre_active", "id=key-1,state=PreActive", kSymmetric, 3,
                          "key key-1 is in state PreActive, not Active"},
                    Unfit{"compromised", "id=key-1,state=Compromised", kSymmetric, 3,
                          "key key-1 is in state Compromised, not Active"},
                    Unfit{"encrypt_only", "id=key-1,usage=encrypt", kSymmetric, 3,
                          "key key-1 may not Decrypt by its usage mask"},
                    Unfit{"decrypt_only", "id=key-1,usage=decrypt", kSymmetric, 3,
                          "key key-1 may not Encrypt by its usage mask"},
                    Unfit{"certificate", "id=key-1", kmip::ObjectType::kCertificate, 3,
                          "key key-1 is no symmetric key (object type 1)"},
                    Unfit{"not_aes", "id=key-1", kSymmetric, 2,
                          "key key-1 is not an AES key (algorithm 2)"}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace okms::test
