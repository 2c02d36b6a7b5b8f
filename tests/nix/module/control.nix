# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# A machine with an apiserver and two instances, all in order.
{
  evaluate,
  instance,
  plugin,
  kubernetes,
  apiserver,
  ...
}:

evaluate [
  (plugin {
    new = instance // {
      keyId = null;
      keyLabel = "100%";
      protocol = "rest";
      servers = [ "https://kms.example.org" ];
      okmsId = "734b9b45-8b1a-469c-b140-b10bd6540017";
      group = "kubernetes";
      settings.OKMS_DEBUG = true;
      credentials = {
        clientCertificate = "/var/lib/secrets/client.pem";
        clientKeyEncrypted = "/var/lib/secrets/client.key.cred";
        ca = "/var/lib/secrets/ca.pem";
      };
    };
    old = instance // {
      socket = "/run/okms.sock";
    };
  })
  (kubernetes {
    providers = [
      { instance = "new"; }
      {
        instance = "old";
        name = "okms-encryption-provider";
        timeout = "5s";
      }
    ];
  })
  apiserver
]
