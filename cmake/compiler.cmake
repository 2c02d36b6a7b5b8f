# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# Every binary is hardened. Warnings are errors with the presets (CMAKE_COMPILE_WARNING_AS_ERROR), not
# for a distribution, whose compiler may be newer. `okms_flags` is linked by each of our targets;
# generated code (protobuf, gRPC) takes only the hardening.

include(CheckCXXCompilerFlag)

add_library(okms_hardening INTERFACE)
target_compile_options(okms_hardening INTERFACE
  -fstack-protector-strong -fstack-clash-protection -fPIE)
target_compile_definitions(okms_hardening INTERFACE _GLIBCXX_ASSERTIONS)
target_link_options(okms_hardening INTERFACE
  -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--as-needed -Wl,--gc-sections)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

check_cxx_compiler_flag(-fcf-protection OKMS_HAS_CF_PROTECTION)  # x86 only
if(OKMS_HAS_CF_PROTECTION)
  target_compile_options(okms_hardening INTERFACE -fcf-protection)
endif()
check_cxx_compiler_flag(-ftrivial-auto-var-init=zero OKMS_HAS_AUTO_VAR_INIT)
if(OKMS_HAS_AUTO_VAR_INIT)
  target_compile_options(okms_hardening INTERFACE -ftrivial-auto-var-init=zero)
else()  # clang 14 takes it only together with a switch that names its own removal
  set(OKMS_AUTO_VAR_INIT_CLANG
    -ftrivial-auto-var-init=zero
    -enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang)
  string(REPLACE ";" " " OKMS_AUTO_VAR_INIT_CLANG_TEXT "${OKMS_AUTO_VAR_INIT_CLANG}")
  check_cxx_compiler_flag("${OKMS_AUTO_VAR_INIT_CLANG_TEXT}" OKMS_HAS_AUTO_VAR_INIT_CLANG)
  if(OKMS_HAS_AUTO_VAR_INIT_CLANG)
    target_compile_options(okms_hardening INTERFACE ${OKMS_AUTO_VAR_INIT_CLANG})
  endif()
endif()

if(OKMS_SANITIZE)  # instruments generated code too, and replaces _FORTIFY_SOURCE
  target_compile_options(okms_hardening INTERFACE
    -fsanitize=${OKMS_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  # What a test does itself is not what is tested, and takes a fifth longer to compile with it.
  if(OKMS_SANITIZE MATCHES undefined)
    target_compile_options(okms_hardening INTERFACE
      $<$<BOOL:$<TARGET_PROPERTY:OKMS_TEST_CODE>>:-fno-sanitize=undefined>)
  endif()
  target_compile_definitions(okms_hardening INTERFACE OKMS_SANITIZED)  # no sandbox, and a heap that keeps what is freed
  target_link_options(okms_hardening INTERFACE -fsanitize=${OKMS_SANITIZE})
else()
  # What a test does itself is not what is shipped: without optimisation it is compiled in two thirds of the time.
  set(is_test $<BOOL:$<TARGET_PROPERTY:OKMS_TEST_CODE>>)
  target_compile_options(okms_hardening INTERFACE
    $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE>
    $<$<NOT:$<OR:$<CONFIG:Debug>,${is_test}>>:-D_FORTIFY_SOURCE=3>
    $<${is_test}:-O0>)
endif()
if(OKMS_FUZZ)
  target_compile_options(okms_hardening INTERFACE -fsanitize=fuzzer-no-link)
endif()

add_library(okms_flags INTERFACE)
target_link_libraries(okms_flags INTERFACE okms_hardening)
target_compile_options(okms_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wnon-virtual-dtor
  -Wold-style-cast)
target_include_directories(okms_flags INTERFACE "${PROJECT_SOURCE_DIR}/src")
