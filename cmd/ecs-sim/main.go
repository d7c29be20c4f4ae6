// Command ecs-sim simulates Amazon ECS, SQS and Kinesis on one address. See internal/ecssim/README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/tlsconfig"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "ecs-sim:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, getenv func(string) string, out io.Writer) error {
	cfg, err := parseConfig(args, getenv, out)
	if err != nil {
		return err
	}
	if cfg.healthcheck {
		return httpserver.Healthcheck(ctx, cfg.bind, "/_sim/ping", tlsconfig.Files{})
	}
	listener, err := net.Listen("tcp", cfg.bind)
	if err != nil {
		return err
	}
	return serve(ctx, listener, cfg, out)
}
