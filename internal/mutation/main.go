// Mutation breaks each promise of Blox once, and requires that a test or a run of blox-robustness finds it.
//
// It needs no changed checkout: the go command reads each mutated file through its flag -overlay. README.md has the
// table of the mutations. `make mutations` runs them at the top of the repository.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("mutation", flag.ContinueOnError)
	pattern := flags.String("run", ".", "run the mutations whose name matches `regexp`")
	baseline := flags.Bool("baseline", true, "also require that each command passes without its mutation")
	list := flags.Bool("list", false, "print the mutations and their commands instead")
	verbose := flags.Bool("v", false, "print the output of each command")
	if err := flags.Parse(args); err != nil {
		return err
	}
	selected, err := selectMutations(mutations(), *pattern)
	if err != nil {
		return err
	}
	if *list {
		for _, m := range selected {
			fmt.Fprintf(out, "%s: %s\n", m.name, m.by)
		}
		return nil
	}
	return runAll(ctx, out, selected, *baseline, *verbose)
}

// selectMutations returns the mutations whose name matches the regular expression.
func selectMutations(all []mutation, pattern string) ([]mutation, error) {
	expression, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("--run: %w", err)
	}
	var selected []mutation
	for _, m := range all {
		if expression.MatchString(m.name) {
			selected = append(selected, m)
		}
	}
	if len(selected) == 0 {
		return nil, fmt.Errorf("--run %s matches no mutation; --list prints their names", pattern)
	}
	return selected, nil
}

func runAll(ctx context.Context, out io.Writer, selected []mutation, baseline, verbose bool) error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mutation-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r := newRunner(root, dir)
	failed := 0
	for _, m := range selected {
		began := time.Now()
		outcome, output, err := r.mutated(ctx, m)
		if err == nil && outcome == caught && baseline {
			err = r.baseline(ctx, m.by)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			outcome, output = err.Error(), ""
		}
		fmt.Fprintf(out, "%-44s %6.1fs  %s\n", m.name, time.Since(began).Seconds(), outcome)
		if outcome != caught {
			failed++
		}
		if verbose || err == nil && outcome != caught && outcome != survived {
			fmt.Fprintln(out, firstLines(output, verbose))
		}
	}
	fmt.Fprintf(out, "%d mutations, %d of them caught\n", len(selected), len(selected)-failed)
	if failed > 0 {
		return fmt.Errorf("%d of %d mutations were not caught", failed, len(selected))
	}
	return nil
}

// firstLines returns the beginning of the output of a command, or all of it. A panic dumps every goroutine.
func firstLines(output string, all bool) string {
	const most = 40
	lines := strings.SplitAfterN(output, "\n", most+1)
	if all || len(lines) <= most {
		return output
	}
	return strings.Join(lines[:most], "") + "…"
}
