# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# What the apiserver becomes.
{
  lib,
  evaluate,
  main,
  kubernetes,
  apiserver,
  control,
  complaints,
  ...
}:

let
  encryption = control.services.okms-k8s-encryption-provider.kubernetes.configurationFile;
in
[
  {
    what = "the apiserver's flag";
    is = control.services.kubernetes.apiserver.extraOpts;
    want = "--encryption-provider-config=${encryption}";
  }
  {
    what = "the first provider encrypts, all decrypt, and identity is the last";
    is = control.services.okms-k8s-encryption-provider.kubernetes.configuration;
    want = {
      apiVersion = "apiserver.config.k8s.io/v1";
      kind = "EncryptionConfiguration";
      resources = [
        {
          resources = [ "secrets" ];
          providers = [
            {
              kms = {
                apiVersion = "v2";
                name = "okms-new";
                endpoint = "unix:///run/okms-k8s-encryption-provider/new/kms.sock";
                timeout = "3s";
              };
            }
            {
              kms = {
                apiVersion = "v2";
                name = "okms-encryption-provider";
                endpoint = "unix:///run/okms.sock";
                timeout = "5s";
              };
            }
            { identity = { }; }
          ];
        }
      ];
    };
  }
  {
    what = "no identity when nothing unencrypted is to be read";
    is = map lib.attrNames (
      lib.concatMap (r: r.providers)
        (evaluate [
          main
          (kubernetes { readUnencrypted = false; })
          apiserver
        ]).services.okms-k8s-encryption-provider.kubernetes.configuration.resources
    );
    want = [ [ "kms" ] ];
  }
  {
    what = "the apiserver's unit";
    is = {
      groups = control.systemd.services.kube-apiserver.serviceConfig.SupplementaryGroups;
      sockets = lib.filter (lib.hasPrefix "okms") control.systemd.services.kube-apiserver.wants;
      order = lib.filter (lib.hasPrefix "okms") control.systemd.services.kube-apiserver.after;
    };
    want = {
      groups = [
        "kubernetes"
        "okms-kms"
      ];
      sockets = [
        "okms-k8s-encryption-provider@new.socket"
        "okms-k8s-encryption-provider@old.socket"
      ];
      order = [
        "okms-k8s-encryption-provider@new.socket"
        "okms-k8s-encryption-provider@old.socket"
      ];
    };
  }
  {
    what = "the flag beside others";
    is = complaints [
      main
      (kubernetes { })
      apiserver
      {
        services.kubernetes.apiserver.extraOpts = "--v=2 --encryption-provider-config-automatic-reload=true";
      }
    ];
    want = [ ];
  }
]
