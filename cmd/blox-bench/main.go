// Command blox-bench measures both services, compares each figure with a baseline, and prints one table. "make bench"
// and "make load" build and run it; internal/bench/README.md describes the figures.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/blox/blox/internal/bench"
	"github.com/blox/blox/internal/harness"
)

func main() {
	harness.RunRole(bench.Roles())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := bench.Run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "blox-bench:", err)
		os.Exit(1)
	}
}
