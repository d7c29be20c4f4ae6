package ecssim

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/blox/blox/internal/arn"
)

// ecsActions are ECS's actions that are simulated.
var ecsActions = map[string]call{
	"CreateCluster":    ecsCall((*Sim).createCluster),
	"DeleteCluster":    ecsCall((*Sim).deleteCluster),
	"DescribeClusters": ecsCall((*Sim).describeClusters),
	"ListClusters":     ecsCall((*Sim).listClusters),

	"RegisterTaskDefinition":     registerTaskDefinition,
	"DescribeTaskDefinition":     ecsCall((*Sim).describeTaskDefinition),
	"DeregisterTaskDefinition":   ecsCall((*Sim).deregisterTaskDefinition),
	"ListTaskDefinitions":        ecsCall((*Sim).listTaskDefinitions),
	"ListTaskDefinitionFamilies": ecsCall((*Sim).listTaskDefinitionFamilies),

	"ListContainerInstances":        inCluster((*Sim).listContainerInstances),
	"DescribeContainerInstances":    inCluster((*Sim).describeContainerInstances),
	"UpdateContainerInstancesState": inCluster((*Sim).updateContainerInstancesState),
	"RegisterContainerInstance":     inCluster((*Sim).registerContainerInstance),
	"DeregisterContainerInstance":   inCluster((*Sim).deregisterContainerInstance),
	"PutAttributes":                 inCluster((*Sim).putAttributes),
	"DeleteAttributes":              inCluster((*Sim).deleteAttributes),
	"ListAttributes":                inCluster((*Sim).listAttributes),

	"StartTask":     inCluster((*Sim).startTask),
	"RunTask":       inCluster((*Sim).runTask),
	"StopTask":      inCluster((*Sim).stopTask),
	"ListTasks":     inCluster((*Sim).listTasks),
	"DescribeTasks": inCluster((*Sim).describeTasks),
}

// page are the parameters by which every list is read.
type page struct {
	MaxResults *int   `json:"maxResults"`
	NextToken  string `json:"nextToken"`
}

// maxPage is the most that a list gives at once, and what it gives unless it is asked for less.
const maxPage = 100

// listed answers with one page of all, which is in the order of seq, under a name. Entries for which show says no are
// left out. The token names the last entry before the next page, so entries that come or go meanwhile shift nothing.
func listed[T, Shown any](name string, p page, all []T, seq func(T) int64, show func(T) (Shown, bool)) (any, error) {
	most := maxPage
	if p.MaxResults != nil {
		most = *p.MaxResults
	}
	if most < 1 || most > maxPage {
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
		if len(entries) == most {
			out["nextToken"] = base64.StdEncoding.EncodeToString([]byte("after " + strconv.FormatInt(after, 10)))
			break
		}
		entries = append(entries, shown)
		after = seq(entry)
	}
	out[name] = entries
	return out, nil
}

// listedInOrder is listed for entries that have no seq and are numbered as they stand, so that one more among the
// earlier ones makes the next page begin with one that was seen already.
func listedInOrder[T, Shown any](name string, p page, all []T, show func(T) (Shown, bool)) (any, error) {
	places := make([]int, len(all))
	for i := range places {
		places[i] = i
	}
	return listed(name, p, places, func(i int) int64 { return int64(i) + 1 }, func(i int) (Shown, bool) { return show(all[i]) })
}

// firstAfter is the index of the first entry whose seq is above after.
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

// missingFailure is the failure of something that there is not, named by its ARN also when it was asked for by its id.
func (s *Sim) missingFailure(kind arn.Kind, c *cluster, ref string) failure {
	if !strings.HasPrefix(ref, "arn:") {
		ref = s.arn(kind, c.name, ref)
	}
	return failure{ARN: ref, Reason: "MISSING"}
}
