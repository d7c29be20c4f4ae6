// Release builds the files of a release: archives, SBOMs, a provenance statement and checksums. `make release` runs it
// at the top of the repository. The files depend on the source, the version, the revision, its time and the compiler
// alone.
//
//	release -version v1.0.0 -revision COMMIT -time SECONDS -o dist
//	release -licenses LINUX_PROGRAM...
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	r := release{dir: "."}
	flags.StringVar(&r.out, "o", "dist", "`directory` of the files")
	flags.StringVar(&r.version, "version", "", "version of the release, such as v1.0.0")
	flags.StringVar(&r.revision, "revision", "", "full hash of the Git `commit`")
	seconds := flags.Int64("time", 0, "time of the commit in Unix `seconds`")
	only := flags.String("platforms", "", "comma-separated `platforms` such as linux/amd64; default: all")
	programs := flags.String("programs", "", "comma-separated `programs`; default: all")
	licenses := flags.Bool("licenses", false, "print the licenses of the named programs instead")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *licenses {
		linked, err := linkedModules(ctx, r.dir, target{"linux", "amd64", flags.Args()})
		if err != nil {
			return err
		}
		_, err = io.WriteString(out, thirdPartyLicenses(linked))
		return err
	}
	r.time = time.Unix(*seconds, 0).UTC()
	r.targets = targets
	if *only != "" {
		if r.targets = selectTargets(strings.Split(*only, ",")); len(r.targets) == 0 {
			return fmt.Errorf("-platforms %s: want some of %s", *only, platforms(targets))
		}
	}
	if *programs != "" {
		r.targets = selectPrograms(r.targets, strings.Split(*programs, ","))
	}
	if err := r.check(); err != nil {
		return err
	}
	return r.build(ctx, out)
}
