# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# What the scenarios rely on (../README.md), as ../driver/provision.py makes it elsewhere.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (config.services.okms-k8s-encryption-provider.package) tools;
  kms = lib.importJSON ../keys.json;
  pki = "/var/lib/okms-mock-kms/pki";
in
{
  virtualisation.memorySize = lib.mkDefault 1024;

  services.okms-k8s-encryption-provider = {
    enable = true;
    instances.main = {
      servers = lib.mkDefault [ "localhost:${toString kms.kmipPort}" ];
      keyId = kms.keys.main.id;
      credentials = {
        clientCertificate = "${pki}/client.pem";
        clientKey = "${pki}/client.key";
        ca = "${pki}/ca.pem";
      };
    };
  };
  # On demand, so that a scenario sees it start.
  systemd.services."okms-k8s-encryption-provider@main".wantedBy = lib.mkForce [ ];

  # When the machine boots, because certificates of the store would be out of date some day.
  systemd.services.okms-mock-pki = {
    description = "Certificates of the mock KMS";
    wantedBy = [ "multi-user.target" ];
    before = [
      "okms-mock-kms.service"
    ]
    ++ map (name: "okms-k8s-encryption-provider@${name}.service") (
      lib.attrNames config.services.okms-k8s-encryption-provider.instances
    );
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
      StateDirectory = "okms-mock-kms";
    };
    script = ''
      ${tools}/bin/okms-mock-kms --pki ${pki} > /dev/null &
      until grep -qs 'END PRIVATE KEY' ${pki}/client.key; do sleep 0.1; done
      kill $!
    '';
  };
  systemd.services.okms-mock-kms = {
    description = "Mock KMS";
    wantedBy = [ "multi-user.target" ];
    serviceConfig = {
      Type = "exec";
      ExecStart = lib.concatStringsSep " " (
        [
          "${tools}/bin/okms-mock-kms --pki ${pki}"
          "--port ${toString kms.kmipPort} --rest-port ${toString kms.restPort} --okms-id ${kms.okmsId}"
        ]
        ++ lib.mapAttrsToList (
          _: key: "--key id=${key.id},name=${key.label},material=${key.material}"
        ) kms.keys
      );
    };
  };

  # A stranger, and a member of the group.
  users.users = {
    stranger = {
      isSystemUser = true;
      group = "stranger";
    };
    member = {
      isSystemUser = true;
      group = "member";
      extraGroups = [ "okms-kms" ];
    };
  };
  users.groups = {
    stranger = { };
    member = { };
  };

  environment.systemPackages = [
    tools
    pkgs.curl
    pkgs.openssl
    pkgs.python3
  ];
}
