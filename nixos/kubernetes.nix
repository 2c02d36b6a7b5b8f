# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# How a kube-apiserver comes to use the instances.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption types;

  cfg = config.services.okms-k8s-encryption-provider;
  k = cfg.kubernetes;
  at = "services.okms-k8s-encryption-provider.kubernetes";
  instanceNames = lib.attrNames cfg.instances;

  provider =
    { config, ... }:
    {
      options = {
        instance = mkOption {
          type = types.str;
          example = "main";
          description = "The instance that wraps and unwraps.";
        };

        name = mkOption {
          type = types.str;
          default = "okms-${config.instance}";
          defaultText = lib.literalExpression ''"okms-''${instance}"'';
          example = "okms-encryption-provider";
          description = ''
            Name of the provider. It stands before each value in etcd, so it must stay as it is, and
            be that of the configuration that wrote what is there already.
          '';
        };

        timeout = mkOption {
          type = types.str;
          default = "3s";
          description = "How long the apiserver waits for one call.";
        };
      };
    };

  configuration = {
    apiVersion = "apiserver.config.k8s.io/v1";
    kind = "EncryptionConfiguration";
    resources = [
      {
        inherit (k) resources;
        providers =
          map (p: {
            kms = {
              # Without it the apiserver takes v1.
              apiVersion = "v2";
              inherit (p) name timeout;
              endpoint = "unix://${cfg.instances.${p.instance}.socket}";
            };
          }) k.providers
          # The last one: the first would leave new Secrets as they are.
          ++ lib.optional k.readUnencrypted { identity = { }; };
      }
    ];
  };

  names = map (p: p.name) k.providers;
  unknown = lib.filter (n: !lib.elem n instanceNames) (map (p: p.instance) k.providers);
  used = lib.filterAttrs (n: _: lib.elem n (map (p: p.instance) k.providers)) cfg.instances;
  socketUnits = lib.mapAttrsToList (n: _: "okms-k8s-encryption-provider@${n}.socket") used;
in
{
  options.services.okms-k8s-encryption-provider.kubernetes = {
    enable = lib.mkEnableOption ''
      the encryption of {option}`resources` by {option}`services.kubernetes.apiserver`. For another
      apiserver, such as that of k3s or RKE2, leave this off and pass it
      {option}`configurationFile`'';

    providers = mkOption {
      type = types.listOf (types.submodule provider);
      default = lib.optional (lib.length instanceNames == 1) { instance = lib.head instanceNames; };
      defaultText = lib.literalMD "the instance, where there is only one";
      example = [
        { instance = "new"; }
        { instance = "old"; }
      ];
      description = ''
        The instances that the apiserver uses: the first encrypts, all decrypt. To move to another key,
        put its instance first, write all Secrets anew, then remove the old one.
      '';
    };

    resources = mkOption {
      type = types.nonEmptyListOf types.str;
      default = [ "secrets" ];
      example = [
        "secrets"
        "configmaps"
      ];
      description = "What is encrypted in etcd.";
    };

    readUnencrypted = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Whether what is in etcd unencrypted can be read (the provider `identity`, which is always the
        last). Once all has been written anew, turn it off: then nobody can slip in plain Secrets.
      '';
    };

    configuration = mkOption {
      type = types.attrsOf types.anything;
      readOnly = true;
      default = configuration;
      defaultText = lib.literalMD "what the other options say";
      description = "The EncryptionConfiguration.";
    };

    configurationFile = mkOption {
      type = types.path;
      readOnly = true;
      default = (pkgs.formats.json { }).generate "encryption-configuration.json" k.configuration;
      defaultText = lib.literalMD "{option}`configuration` as a file";
      description = "The same in a file, for `--encryption-provider-config`.";
    };
  };

  config = lib.mkIf (cfg.enable && k.enable) {
    assertions = [
      {
        assertion = config.services.kubernetes.apiserver.enable;
        message = "${at}.enable: there is no services.kubernetes.apiserver on this machine. For another apiserver, pass it ${at}.configurationFile.";
      }
      {
        assertion = k.providers != [ ];
        message = "${at}.providers: name the instances in their order; the first encrypts. There are: ${
          if instanceNames == [ ] then "none" else lib.concatStringsSep ", " instanceNames
        }.";
      }
      {
        assertion = unknown == [ ];
        message = "${at}.providers: no such instance: ${lib.concatStringsSep ", " unknown}.";
      }
      {
        assertion = lib.length (lib.unique names) == lib.length names;
        message = "${at}.providers: two have the same name. The name tells the apiserver who can decrypt a value.";
      }
      {
        assertion = lib.all (n: builtins.match "[^:]+" n != null) names;
        message = "${at}.providers: a name is not empty and has no colon.";
      }
    ];

    services.kubernetes.apiserver.extraOpts = "--encryption-provider-config=${k.configurationFile}";

    systemd.services.kube-apiserver = {
      # The sockets are enough: the plugin starts with the first call, with the KMS or without.
      wants = socketUnits;
      after = socketUnits;
      serviceConfig.SupplementaryGroups = lib.unique (lib.mapAttrsToList (_: i: i.group) used);
    };
  };
}
