package ecssim

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/blox/blox/internal/arn"
)

// ecsActions maps the simulated ECS actions to their handlers.
var ecsActions = map[string]actionHandler{
	"CreateCluster":    ecsAction((*Sim).createCluster),
	"DeleteCluster":    ecsAction((*Sim).deleteCluster),
	"DescribeClusters": ecsAction((*Sim).describeClusters),
	"ListClusters":     ecsAction((*Sim).listClusters),

	"RegisterTaskDefinition":     registerTaskDefinition,
	"DescribeTaskDefinition":     ecsAction((*Sim).describeTaskDefinition),
	"DeregisterTaskDefinition":   ecsAction((*Sim).deregisterTaskDefinition),
	"ListTaskDefinitions":        ecsAction((*Sim).listTaskDefinitions),
	"ListTaskDefinitionFamilies": ecsAction((*Sim).listTaskDefinitionFamilies),

	"CreateCapacityProvider":      ecsAction((*Sim).createCapacityProvider),
	"UpdateCapacityProvider":      ecsAction((*Sim).updateCapacityProvider),
	"DeleteCapacityProvider":      ecsAction((*Sim).deleteCapacityProvider),
	"DescribeCapacityProviders":   ecsAction((*Sim).describeCapacityProviders),
	"PutClusterCapacityProviders": onCluster((*Sim).putClusterCapacityProviders),

	"ListContainerInstances":        onCluster((*Sim).listContainerInstances),
	"DescribeContainerInstances":    onCluster((*Sim).describeContainerInstances),
	"UpdateContainerInstancesState": onCluster((*Sim).updateContainerInstancesState),
	"RegisterContainerInstance":     onCluster((*Sim).registerContainerInstance),
	"DeregisterContainerInstance":   onCluster((*Sim).deregisterContainerInstance),
	"PutAttributes":                 onCluster((*Sim).putAttributes),
	"DeleteAttributes":              onCluster((*Sim).deleteAttributes),
	"ListAttributes":                onCluster((*Sim).listAttributes),

	"StartTask":     onCluster((*Sim).startTask),
	"RunTask":       onCluster((*Sim).runTask),
	"StopTask":      onCluster((*Sim).stopTask),
	"ListTasks":     onCluster((*Sim).listTasks),
	"DescribeTasks": onCluster((*Sim).describeTasks),

	"CreateService":    onCluster((*Sim).createService),
	"UpdateService":    onCluster((*Sim).updateService),
	"DeleteService":    onCluster((*Sim).deleteService),
	"ListServices":     onCluster((*Sim).listServices),
	"DescribeServices": onCluster((*Sim).describeServices),
}

// pageInput holds the paging parameters of List actions.
type pageInput struct {
	MaxResults *int   `json:"maxResults"`
	NextToken  string `json:"nextToken"`
}

// maxPage is the largest and the default page size.
const maxPage = 100

// listPage returns one page of all, which is sorted by seq, under a name. It skips entries for which show returns
// false. The token holds the seq of the last entry, so entries that appear or disappear shift nothing.
func listPage[T, Shown any](
	name string, p pageInput, all []T, seq func(T) int64, show func(T) (Shown, bool),
) (any, error) {
	limit := maxPage
	if p.MaxResults != nil {
		limit = *p.MaxResults
	}
	if limit < 1 || limit > maxPage {
		return nil, invalid("maxResults must be between 1 and %d.", maxPage)
	}
	after, err := readToken(p.NextToken)
	if err != nil {
		return nil, err
	}
	entries := []Shown{}
	out := map[string]any{}
	for _, entry := range all[firstAfter(all, seq, after):] {
		shown, ok := show(entry)
		if !ok {
			continue
		}
		if len(entries) == limit {
			out["nextToken"] = base64.StdEncoding.EncodeToString([]byte("after " + strconv.FormatInt(after, 10)))
			break
		}
		entries = append(entries, shown)
		after = seq(entry)
	}
	out[name] = entries
	return out, nil
}

// listPageByIndex is listPage for entries without a seq. An entry that is inserted on an earlier page makes the next
// page repeat one.
func listPageByIndex[T, Shown any](name string, p pageInput, all []T, show func(T) (Shown, bool)) (any, error) {
	indexes := make([]int, len(all))
	for i := range indexes {
		indexes[i] = i
	}
	return listPage(name, p, indexes, func(i int) int64 { return int64(i) + 1 }, func(i int) (Shown, bool) {
		return show(all[i])
	})
}

// firstAfter returns the index of the first entry whose seq is above after.
func firstAfter[T any](all []T, seq func(T) int64, after int64) int {
	low, high := 0, len(all)
	for low < high {
		if middle := (low + high) / 2; seq(all[middle]) > after {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low
}

func readToken(token string) (int64, error) {
	if token == "" {
		return 0, nil
	}
	text, err := base64.StdEncoding.DecodeString(token)
	number, ok := strings.CutPrefix(string(text), "after ")
	after, parseErr := strconv.ParseInt(number, 10, 64)
	if err != nil || !ok || parseErr != nil {
		return 0, invalid("Invalid token")
	}
	return after, nil
}

// missingFailure returns the failure of an unknown resource. It shows the ARN even if the request had the id.
func (s *Sim) missingFailure(kind arn.Kind, c *cluster, ref string) failure {
	if !strings.HasPrefix(ref, "arn:") {
		ref = s.arn(kind, c.name, ref)
	}
	return failure{ARN: ref, Reason: "MISSING"}
}
