// Command build compiles commands of this module with clocks that tests can change.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/blox/blox/internal/harness/testclock"
)

func main() {
	out := flag.String("o", "bin/testclock", "`directory` of the programs")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := testclock.Build(ctx, *out, flag.Args()...); err != nil {
		fmt.Fprintln(os.Stderr, "testclock:", err)
		os.Exit(1)
	}
}
