// Command blox-robustness runs all of Blox as processes, injects the faults of a seed, and reports each promise that
// does not hold. "make robustness" builds and runs it; README.md describes its faults and checks.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/blox/blox/internal/harness"
	"github.com/blox/blox/internal/robustness"
)

func main() {
	harness.RunRole(nil)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := robustness.Run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "blox-robustness:", err)
		os.Exit(1)
	}
}
