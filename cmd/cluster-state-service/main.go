// Command cluster-state-service copies the container instances and tasks of ECS to etcd, and serves lists and streams.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	clusterstate "github.com/blox/blox/cluster-state-service"
	"github.com/blox/blox/internal/gcfloor"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/logging"
	"github.com/blox/blox/internal/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "cluster-state-service:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, getenv func(string) string) error {
	cfg, err := clusterstate.ParseConfig(args, getenv, os.Stdout)
	if errors.Is(err, clusterstate.ErrVersion) {
		fmt.Println(version.String())
		return nil
	}
	if err != nil {
		return err
	}
	if cfg.Healthcheck {
		return httpserver.Healthcheck(ctx, cfg.Bind, httpserver.ReadyPath, cfg.TLS)
	}
	log := logging.New("CSS", logging.Options{File: cfg.LogFile, Level: cfg.LogLevel, Format: cfg.LogFormat})
	defer log.Close()
	gcfloor.Set(gcfloor.Default)
	return clusterstate.Run(ctx, cfg, log)
}
