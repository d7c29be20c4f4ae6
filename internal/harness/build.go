package harness

import (
	"context"
	"fmt"
	"os/exec"
)

// Build compiles commands of this module into dir. The packages are paths below the module, such as cmd/ecs-sim.
func Build(ctx context.Context, dir string, packages ...string) error {
	args := []string{"build", "-o", dir}
	for _, p := range packages {
		args = append(args, "github.com/blox/blox/"+p)
	}
	if output, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("build %v: %w: %s", packages, err, output)
	}
	return nil
}
