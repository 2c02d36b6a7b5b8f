# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# What the status pages of good configurations become.
{
  lib,
  evaluate,
  instance,
  plugin,
  main,
  complaints,
  control,
  ...
}:

let
  withPages = statusPages: {
    imports = [
      (plugin {
        main = instance // {
          statusPages = {
            enable = true;
          }
          // statusPages;
        };
      })
    ];
    users.groups.monitoring = { };
  };
  machine = change: evaluate [ (withPages change) ];
  pagesOf = change: (machine change).systemd.sockets."okms-k8s-encryption-provider-status@main";
  pagesTriggers =
    change:
    (machine change).systemd.services.okms-k8s-encryption-provider-status-socket-main.restartTriggers;
in
[
  {
    what = "no status pages by default";
    is =
      lib.filter (lib.hasInfix "status") (
        lib.attrNames control.systemd.sockets ++ lib.attrNames control.systemd.services
      )
      ++ control.systemd.services."okms-k8s-encryption-provider@new".partOf;
    want = [ ];
  }
  {
    what = "the pages' socket, as it is and as one says";
    is =
      map
        (change: {
          inherit (pagesOf change) listenStreams;
          group = (pagesOf change).socketConfig.SocketGroup;
        })
        [
          { }
          {
            listen = "/run/100%";
            group = "monitoring";
          }
          { listen = "127.0.0.1:9440"; }
        ];
    want = [
      {
        listenStreams = [ "/run/okms-k8s-encryption-provider/main/status.sock" ];
        group = "okms-kms";
      }
      {
        listenStreams = [ "/run/100%%" ];
        group = "monitoring";
      }
      {
        listenStreams = [ "127.0.0.1:9440" ];
        group = "okms-kms";
      }
    ];
  }
  {
    what = "the pages come with the service, which is restarted with them";
    is = {
      inherit (pagesOf { }) wantedBy wants partOf;
      inherit ((pagesOf { }).socketConfig) Service FileDescriptorName;
      service = (machine { }).systemd.services."okms-k8s-encryption-provider@main".partOf;
      complaints = complaints [ (withPages { }) ];
    };
    want = {
      wantedBy = [ "okms-k8s-encryption-provider@main.service" ];
      wants = [ "okms-k8s-encryption-provider-status-socket-main.service" ];
      partOf = [ "okms-k8s-encryption-provider-status-socket-main.service" ];
      Service = "okms-k8s-encryption-provider@main.service";
      FileDescriptorName = "status";
      service = [ "okms-k8s-encryption-provider-status-socket-main.service" ];
      complaints = [ ];
    };
  }
  {
    what = "the pages at an address that others reach, by a word more";
    is =
      let
        inherit
          (evaluate [
            (withPages { })
            (
              { lib, ... }:
              {
                systemd.sockets."okms-k8s-encryption-provider-status@main" = {
                  listenStreams = lib.mkForce [ "10.0.0.5:9440" ];
                  socketConfig.FreeBind = true;
                };
              }
            )
          ])
          systemd
          ;
        socket = systemd.sockets."okms-k8s-encryption-provider-status@main";
        binding = systemd.services.okms-k8s-encryption-provider-status-socket-main;
      in
      [
        socket.listenStreams
        socket.socketConfig.FreeBind
        (lib.hasInfix "10.0.0.5:9440" (lib.head binding.restartTriggers))
      ];
    want = [
      [ "10.0.0.5:9440" ]
      true
      true
    ];
  }
  {
    what = "a changed place or group restarts the pages' socket, and leaves the plugin's own";
    is =
      map (change: pagesTriggers change == pagesTriggers { }) [
        { }
        { group = "monitoring"; }
        { listen = "127.0.0.1:9440"; }
      ]
      ++ [
        (
          (evaluate [ main ]).systemd.services.okms-k8s-encryption-provider-socket-main.restartTriggers
          == (machine { }).systemd.services.okms-k8s-encryption-provider-socket-main.restartTriggers
        )
      ];
    want = [
      true
      false
      false
      true
    ];
  }
]
