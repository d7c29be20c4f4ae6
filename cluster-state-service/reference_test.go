package clusterstate_test

import (
	"io"
	"slices"
	"testing"

	clusterstate "github.com/blox/blox/cluster-state-service"
	"github.com/blox/blox/internal/docs"
)

func TestReference_Flags(t *testing.T) {
	docs.CheckFlags(t, "docs/reference/flags.md", docs.Program{
		Prefix: "CSS",
		Parse: func(args []string, getenv func(string) string, help io.Writer) error {
			_, err := clusterstate.ParseConfig(args, getenv, help)
			return err
		},
		Valid: []string{"--etcd-endpoint", "etcd:2379", "--queue", "blox_queue"},
		Variables: slices.Concat(docs.LogVariables("CSS"), []docs.Variable{
			{
				Name:    "CSS_ETCD_PASSWORD",
				Meaning: "Password of --etcd-user. It has no flag, because all users of a machine can see flags.",
			},
		}, docs.SDKVariables),
	})
}
