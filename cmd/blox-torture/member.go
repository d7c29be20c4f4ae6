package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"

	"go.etcd.io/etcd/server/v3/embed"
)

// serveMember is one member of a three-member etcd, as a process: "blox-torture etcd …". It ends with ctx.
func serveMember(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("blox-torture etcd", flag.ContinueOnError)
	c := embed.NewConfig()
	flags.StringVar(&c.Name, "name", "", "`name` of the member")
	flags.StringVar(&c.Dir, "dir", "", "`directory` of its files")
	client := flags.String("client", "", "`host:port` for clients")
	peer := flags.String("peer", "", "`host:port` for the other members")
	advertised := flags.String("advertise", "", "`host:port` at which the other members find it")
	flags.StringVar(&c.InitialCluster, "cluster", "", "`name=URL` of all members, with commas")
	flags.Int64Var(&c.QuotaBackendBytes, "quota", 0, "`bytes` that its database may grow to")
	if err := flags.Parse(args); err != nil {
		return err
	}
	at := func(address string) []url.URL { return []url.URL{{Scheme: "http", Host: address}} }
	c.ListenClientUrls, c.AdvertiseClientUrls = at(*client), at(*client)
	c.ListenPeerUrls, c.AdvertisePeerUrls = at(*peer), at(*advertised)
	c.TickMs, c.ElectionMs = 50, 500
	c.UnsafeNoFsync = true // processes are killed here, machines are not
	c.LogLevel, c.LogOutputs = "warn", []string{"stderr"}
	server, err := embed.StartEtcd(c)
	if err != nil {
		return fmt.Errorf("etcd %s: %w", c.Name, err)
	}
	defer server.Close()
	select {
	case <-ctx.Done():
		return nil
	case err := <-server.Err():
		return errors.Join(fmt.Errorf("etcd %s has ended", c.Name), err)
	case <-server.Server.StopNotify():
		fmt.Fprintln(os.Stderr, "stopped")
		return fmt.Errorf("etcd %s has stopped", c.Name)
	}
}
