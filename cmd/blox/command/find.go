package command

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/show"
	"github.com/blox/blox/internal/arn"
)

// findByID returns the item whose id is wanted or has it as a unique prefix.
func findByID[T any](wanted, what string, list []T, idOf func(T) string) (found T, err error) {
	wanted = strings.TrimSuffix(wanted, "…") // tables truncate ids with an ellipsis
	n := 0
	for _, one := range list {
		switch id := idOf(one); {
		case id == wanted:
			return one, nil
		case strings.HasPrefix(id, wanted):
			found = one
			n++
		}
	}
	switch {
	case n == 0:
		return found, fmt.Errorf("no %s has the ID %s", what, wanted)
	case n > 1:
		return found, fmt.Errorf("%d %ss have an ID that begins with %s: use a longer prefix", n, what, wanted)
	}
	return found, nil
}

// entityID returns what wanted is compared with: the ARN if wanted is one, else the id.
func entityID(of, wanted string) string {
	if strings.HasPrefix(wanted, "arn:") {
		return of
	}
	return (show.Style{}).ID(of)
}

// clusterFlag adds the flag --cluster.
func (a *app) clusterFlag(cmd *cobra.Command, cluster *string) {
	cmd.Flags().StringVar(cluster, "cluster", "", "search only this cluster, a `name` or an ARN")
	_ = cmd.RegisterFlagCompletionFunc("cluster", a.clusterNames)
}

// clusterOfARN returns the cluster's name in the ARN wanted, or for an ARN of the short form the given cluster. It is
// not ok if wanted is not an ARN of that kind, or neither names a cluster.
func clusterOfARN(wanted string, kind arn.Kind, given string) (name string, ok bool) {
	named, err := arn.ParseKind(wanted, kind)
	name = cmp.Or(named.Cluster, clusterName(given))
	return name, err == nil && name != ""
}

// clusterName returns the name in a cluster's ARN; a name stays as it is.
func clusterName(cluster string) string { return (show.Style{}).ID(cluster) }
