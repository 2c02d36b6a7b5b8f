# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# Each mistake about the apiserver, on a machine of its own, is named.
{
  lib,
  at,
  evaluate,
  instance,
  plugin,
  main,
  two,
  kubernetes,
  apiserver,
  complaints,
  ...
}:

let
  extraOpts = text: { services.kubernetes.apiserver.extraOpts = text; };

  mistakes = [
    {
      modules = [
        main
        (kubernetes { })
      ];
      words = ".enable: there is no services.kubernetes.apiserver";
    }
    {
      modules = [
        two
        (kubernetes { })
        apiserver
      ];
      words = ".providers: name the instances in their order; the first encrypts. There are: one, two.";
    }
    {
      modules = [
        main
        (kubernetes { providers = [ { instance = "mian"; } ]; })
        apiserver
      ];
      words = ".providers: no such instance, or not enabled: mian";
    }
    {
      modules = [
        two
        (kubernetes {
          providers = [
            {
              instance = "one";
              name = "okms";
            }
            {
              instance = "two";
              name = "okms";
            }
          ];
        })
        apiserver
      ];
      words = ".providers: two have the same name";
    }
    {
      modules = [
        main
        (kubernetes {
          providers = [
            {
              instance = "main";
              name = "a:b";
            }
          ];
        })
        apiserver
      ];
      words = ".providers: a name is not empty and has no colon";
    }
    {
      modules = [
        main
        (kubernetes {
          providers = [
            {
              instance = "main";
              timeout = "0s";
            }
          ];
        })
        apiserver
      ];
      words = ".providers: a timeout is longer than nothing";
    }
    {
      modules = [
        (plugin {
          main = instance // {
            enable = false;
          };
        })
        (kubernetes { })
        apiserver
      ];
      words = ".providers: name the instances in their order; the first encrypts. There are: none.";
    }
    {
      modules = [
        main
        (kubernetes { })
        apiserver
        (extraOpts "--v=2 --encryption-provider-config=/etc/other.yaml")
      ];
      words = ".enable: services.kubernetes.apiserver.extraOpts must have one --encryption-provider-config";
    }
    {
      modules = [
        main
        (kubernetes { })
        apiserver
        (extraOpts "--encryption-provider-config /etc/other.yaml")
      ];
      words = ".enable: services.kubernetes.apiserver.extraOpts must have one --encryption-provider-config";
    }
    {
      modules = [
        main
        (kubernetes { })
        apiserver
        (extraOpts (lib.mkForce "--v=2"))
      ];
      words = ".enable: services.kubernetes.apiserver.extraOpts must have one --encryption-provider-config";
    }
  ];

  # Without services.kubernetes there are no assertions: whoever asks for the file gets none.
  fileOf =
    modules:
    (builtins.tryEval "${(evaluate modules)
      .services.okms-k8s-encryption-provider.kubernetes.configurationFile
    }").success;
  providers =
    named:
    kubernetes {
      enable = false;
      providers = named;
    };
  noFile = {
    "two instances in no order" = [ two ];
    "no instance" = [ (plugin { }) ];
    "an unknown instance" = [
      two
      (providers [ { instance = "three"; } ])
    ];
    "an instance that is off" = [
      (plugin {
        one = instance;
        two = instance // {
          enable = false;
        };
      })
      (providers [ { instance = "two"; } ])
    ];
    "the module off" = [
      main
      { services.okms-k8s-encryption-provider.enable = lib.mkForce false; }
    ];
    "a timeout without its unit" = [
      main
      (providers [
        {
          instance = "main";
          timeout = "3";
        }
      ])
    ];
  };
  aFile = {
    "one instance" = [ main ];
    "one instance beside one that is off" = [
      (plugin {
        one = instance;
        two = instance // {
          enable = false;
        };
      })
    ];
    "two instances in their order" = [
      two
      (providers [
        { instance = "two"; }
        {
          instance = "one";
          timeout = "1.5s";
        }
      ])
    ];
  };
in
lib.concatMap (
  m:
  let
    heard = complaints m.modules;
  in
  lib.optional (
    !(lib.length heard == 1 && lib.hasPrefix "${at}.kubernetes${m.words}" (lib.head heard))
  ) "expected \"${m.words}\", heard: ${toString heard}"
) mistakes
++ lib.concatLists (
  lib.mapAttrsToList (what: modules: lib.optional (fileOf modules) "there is a file: ${what}") noFile
)
++ lib.concatLists (
  lib.mapAttrsToList (what: modules: lib.optional (!fileOf modules) "there is no file: ${what}") aFile
)
