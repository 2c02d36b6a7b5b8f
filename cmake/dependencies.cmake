# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
# Before gRPC's package, which looks for it. Debian 12's has no CMake package of its own, and CMake's
# module does not know that a newer one needs Abseil.
find_package(Protobuf CONFIG QUIET)
if(NOT TARGET protobuf::libprotobuf-lite)
  find_package(Protobuf MODULE REQUIRED)
endif()
# gRPC's package looks for that of c-ares, which Debian does not have, and says "Could NOT find" before it
# finds the library otherwise: which would look like a failure.
find_package(PkgConfig REQUIRED)
pkg_check_modules(CARES REQUIRED IMPORTED_TARGET libcares)
find_package(c-ares CONFIG QUIET)
if(NOT TARGET c-ares::cares)
  add_library(c-ares::cares INTERFACE IMPORTED)
  target_link_libraries(c-ares::cares INTERFACE PkgConfig::CARES)
  set(c-ares_FOUND TRUE)
endif()
find_package(gRPC CONFIG REQUIRED)
find_package(absl CONFIG REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(CLI11 CONFIG REQUIRED)
find_package(Boost 1.74 CONFIG REQUIRED)  # headers alone
find_package(CURL 7.85 REQUIRED)
# Where the program finds libcurl at run time: by its name, or, where libraries are not in the
# system's folders (Nix), by its path.
get_target_property(libcurl CURL::libcurl IMPORTED_LOCATION)
if(NOT libcurl)
  get_target_property(libcurl CURL::libcurl IMPORTED_LOCATION_RELEASE)
endif()
get_filename_component(libcurl_folder "${libcurl}" DIRECTORY)
set(OKMS_LIBCURL "libcurl.so.4")
if(NOT libcurl_folder MATCHES "^/(usr|lib)")
  set(OKMS_LIBCURL "${libcurl_folder}/libcurl.so.4")
endif()
find_package(nlohmann_json REQUIRED)
# For okms-kms-ctl alone. Older releases name their target otherwise.
find_package(yaml-cpp REQUIRED)
if(NOT TARGET yaml-cpp::yaml-cpp)
  add_library(yaml-cpp::yaml-cpp ALIAS yaml-cpp)
endif()
pkg_check_modules(SYSTEMD REQUIRED IMPORTED_TARGET libsystemd)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp>=2.5)
pkg_check_modules(CAP_NG REQUIRED IMPORTED_TARGET libcap-ng>=0.8)

# gRPC, Abseil and protobuf from their archives where the distribution has them: some sixty shared
# libraries fewer to load, a quarter less memory and a faster start. The price: a fix in one of them
# reaches the plugin by a rebuild. OpenSSL and libsystemd, which face the network and the system,
# always stay shared.
option(OKMS_STATIC_GRPC "Link gRPC, Abseil and protobuf statically if their archives are there" ON)

include(CheckLinkerFlag)
function(okms_link_archives)
  get_property(targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  list(FILTER targets INCLUDE REGEX "^(gRPC|absl|protobuf)::")
  # All or none: two copies of one library in a process would not agree.
  set(replacements "")
  foreach(target IN LISTS targets)
    foreach(config IN ITEMS "" _NONE _RELEASE)
      get_target_property(location ${target} IMPORTED_LOCATION${config})
      if(location MATCHES "[.]so([.0-9]*)$")
        string(REGEX REPLACE "[.]so[.0-9]*$" ".a" archive "${location}")
        if(NOT EXISTS "${archive}")
          message(STATUS "gRPC is linked shared: ${archive} is not there")
          return()
        endif()
        list(APPEND replacements "${target}|IMPORTED_LOCATION${config}|${archive}")
      endif()
    endforeach()
  endforeach()
  foreach(replacement IN LISTS replacements)
    string(REPLACE "|" ";" parts "${replacement}")
    list(GET parts 0 target)
    list(GET parts 1 property)
    list(GET parts 2 archive)
    set_target_properties(${target} PROPERTIES ${property} "${archive}")
  endforeach()
  message(STATUS "gRPC is linked from its archives")
  # Then nothing else that is loaded is C++, and that library's 4,300 symbols need not be looked up at each
  # start. Sanitizers want it shared.
  check_linker_flag(CXX -static-libstdc++ OKMS_HAS_STATIC_STDLIB)
  if(OKMS_HAS_STATIC_STDLIB AND NOT OKMS_SANITIZE)
    set(OKMS_LINK_STATIC_STDLIB -static-libstdc++ PARENT_SCOPE)
  endif()
endfunction()
if(OKMS_STATIC_GRPC)
  okms_link_archives()
endif()
