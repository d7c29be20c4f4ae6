// Command blox-bench measures the two services, each figure beside the least that it could cost, and prints one
// table. "make bench" builds and runs it; all it starts are processes on 127.0.0.1 that end with it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "blox-bench:", err)
		os.Exit(1)
	}
}

// run measures, or is one of the processes that measuring takes.
func run(ctx context.Context, args []string) error {
	if len(args) > 0 && roles[args[0]] != nil {
		return roles[args[0]](ctx, args[1:])
	}
	cfg, err := parseConfig(args, os.Stdout)
	if err != nil {
		return err
	}
	return measure(ctx, cfg, os.Stdout)
}
