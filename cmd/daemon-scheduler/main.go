// Command daemon-scheduler runs one task of each environment on every container instance of its cluster.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	daemonscheduler "github.com/blox/blox/daemon-scheduler"
	"github.com/blox/blox/internal/gcfloor"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/logging"
	"github.com/blox/blox/internal/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "daemon-scheduler:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, getenv func(string) string) error {
	cfg, err := daemonscheduler.ParseConfig(args, getenv, os.Stdout)
	if errors.Is(err, daemonscheduler.ErrVersion) {
		fmt.Println(version.String())
		return nil
	}
	if err != nil {
		return err
	}
	if cfg.Healthcheck {
		return httpserver.Healthcheck(ctx, cfg.Bind, httpserver.ReadyPath, cfg.TLS)
	}
	log := logging.New("DS", logging.Options{File: cfg.LogFile, Level: cfg.LogLevel, Format: cfg.LogFormat})
	defer log.Close()
	gcfloor.Set(gcfloor.Default)
	return daemonscheduler.Run(ctx, cfg, log)
}
