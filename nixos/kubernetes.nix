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
  durations = import ./durations.nix { inherit lib; };
  instances = lib.filterAttrs (_: i: i.enable) cfg.instances;
  instanceNames = lib.attrNames instances;

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
          type = durations.type;
          default = "3s";
          description = "How long the apiserver waits for one call.";
        };
      };
    };

  # Whoever takes the file must not get one that leaves all unencrypted, or that nobody answers.
  configuration = lib.throwIf (problems != [ ]) (lib.concatStringsSep " " problems) {
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
  used = lib.filterAttrs (n: _: lib.elem n (map (p: p.instance) k.providers)) instances;
  socketUnits = lib.mapAttrsToList (n: _: "okms-k8s-encryption-provider@${n}.socket") used;

  problems =
    lib.optional (
      !cfg.enable
    ) "services.okms-k8s-encryption-provider.enable is off: nobody would serve the sockets."
    ++
      lib.optional (k.providers == [ ])
        "${at}.providers: name the instances in their order; the first encrypts. There are: ${
          if instanceNames == [ ] then "none" else lib.concatStringsSep ", " instanceNames
        }."
    ++ lib.optional (
      unknown != [ ]
    ) "${at}.providers: no such instance, or not enabled: ${lib.concatStringsSep ", " unknown}."
    ++ lib.optional (
      lib.length (lib.unique names) != lib.length names
    ) "${at}.providers: two have the same name. The name tells the apiserver who can decrypt a value."
    ++ lib.optional (
      !lib.all (n: builtins.match "[^:]+" n != null) names
    ) "${at}.providers: a name is not empty and has no colon."
    ++ lib.optional (
      !lib.all (p: durations.seconds p.timeout > 0) k.providers
    ) "${at}.providers: a timeout is longer than nothing.";

  # The flag, however often it is given.
  flag = "--encryption-provider-config=${k.configurationFile}";
  flags = lib.filter (
    word: lib.isString word && builtins.match "[\"']?--encryption-provider-config(=.*)?" word != null
  ) (builtins.split "[[:space:]\\]+" config.services.kubernetes.apiserver.extraOpts);
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
        # Another one leaves Secrets unencrypted, and unreadable those that are encrypted.
        assertion = problems != [ ] || flags == [ flag ];
        message = "${at}.enable: services.kubernetes.apiserver.extraOpts must have one --encryption-provider-config, ${k.configurationFile}. It has: ${
          if flags == [ ] then "none" else lib.concatStringsSep " " flags
        }. Remove what is not this module's, or turn ${at}.enable off.";
      }
    ]
    ++ map (message: {
      assertion = false;
      inherit message;
    }) problems;

    services.kubernetes.apiserver.extraOpts = flag;

    systemd.services.kube-apiserver = {
      # The sockets are enough: the plugin starts with the first call, with the KMS or without.
      wants = socketUnits;
      after = socketUnits;
      serviceConfig.SupplementaryGroups = lib.unique (lib.mapAttrsToList (_: i: i.group) used);
    };
  };
}
