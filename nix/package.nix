# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
{
  lib,
  stdenv,
  abseil-cpp,
  boost,
  c-ares,
  cli11,
  cmake,
  ctestCheckHook,
  curl,
  grpc,
  gtest,
  httplib,
  libcap_ng,
  libseccomp,
  ninja,
  nlohmann_json,
  openssl,
  pkg-config,
  protobuf,
  python3,
  systemdLibs,
  testers,
  yaml-cpp,
  zlib,
}:

stdenv.mkDerivation (finalAttrs: {
  pname = "okms-k8s-encryption-provider";
  version = "0.2.0";

  src = lib.fileset.toSource {
    root = ../.;
    # What is not here is neither compiled nor tested: to change it builds nothing anew.
    fileset =
      lib.fileset.difference
        (lib.fileset.unions [
          ../CMakeLists.txt
          ../LICENSE
          ../cmake
          ../completions
          ../dbus
          ../docs
          ../monitoring
          ../proto
          ../src
          ../systemd
          ../tests
        ])
        (
          lib.fileset.unions [
            ../docs/architecture.md
            ../docs/nixos-options.md
            ../docs/performance.md
            ../docs/performance.svg
            ../docs/threat-model.md
            # Those need a systemd, a control plane, peers that nixpkgs does not have, or more sources.
            ../tests/docs
            ../tests/e2e
            ../tests/interop
            ../tests/monitoring
            ../tests/nix
            ../tests/systemd
          ]
        );
  };

  # The mock KMS and the clients that the VM tests use: not for a control plane.
  outputs = [
    "out"
    "tools"
  ];

  strictDeps = true;

  nativeBuildInputs = [
    cmake
    grpc # grpc_cpp_plugin
    ninja
    pkg-config
    protobuf # protoc
    python3 # runs some of the tests, and is looked for when they are configured
  ];

  buildInputs = [
    abseil-cpp
    boost # headers alone: the parser of HTTP
    c-ares
    cli11
    curl # libcurl, which is loaded by its path when REST is used
    grpc
    gtest
    httplib # the mock KMS's
    libcap_ng
    libseccomp
    nlohmann_json
    openssl
    protobuf
    systemdLibs
    yaml-cpp # okms-kms-ctl's
    zlib # the mock KMS's
  ];

  nativeCheckInputs = [ ctestCheckHook ];

  doCheck = true;

  postInstall = ''
    install -D -m 755 -t "$tools/bin" okms-mock-kms okms-kms-call okms-bench
  '';

  passthru.tests.version = testers.testVersion { package = finalAttrs.finalPackage; };

  # Without homepage, changelog and maintainers: they are those of whoever publishes it.
  meta = {
    description = "Kubernetes KMS v2 plugin for OVHcloud KMS and any KMIP server";
    license = lib.licenses.asl20;
    mainProgram = "okms-k8s-encryption-provider";
    platforms = lib.platforms.linux;
  };
})
