// Prose checks what people read against the rules in internal/tools/prose/styles, with Vale: the documents, and the
// texts in code, API descriptions, alerts and pages. `make prose` runs it at the top of the repository.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	list := flag.Bool("list", false, "list the texts in code and data files instead of checking them")
	flag.Parse()
	if err := run(ctx, ".", *list); err != nil {
		fmt.Fprintln(os.Stderr, "prose:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string, list bool) error {
	documents, texts, err := collect(ctx, dir)
	if err != nil {
		return err
	}
	if list {
		for _, text := range texts {
			fmt.Printf("%s:%d: %s: %q\n", text.Path, text.Line, text.Kind, text.Text)
		}
		return nil
	}
	findings, err := check(ctx, dir, documents, texts)
	if err != nil {
		return err
	}
	for _, f := range findings {
		fmt.Printf("%s:%d: %s\n", f.Path, f.Line, f.Message)
	}
	if len(findings) > 0 {
		return fmt.Errorf("%d findings; internal/tools/prose/styles has the rules", len(findings))
	}
	return nil
}

// collect returns the documents and the texts of the files that git tracks in dir, or would track.
func collect(ctx context.Context, dir string) (documents []string, texts []Text, err error) {
	command := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	command.Dir = dir
	out, err := command.Output()
	if err != nil {
		return nil, nil, fmt.Errorf("list files: %w", err)
	}
	for _, name := range strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 }) {
		if isDocument(name) {
			documents = append(documents, name)
			continue
		}
		source, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted, but not yet in the index
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read a file: %w", err)
		}
		inFile, err := textsOf(name, source)
		if err != nil {
			return nil, nil, err
		}
		texts = append(texts, inFile...)
	}
	return documents, texts, nil
}
