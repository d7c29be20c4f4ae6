package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// What --circuit-breaker may be.
const (
	breakerOff      = "off"
	breakerPause    = "pause"
	breakerRollback = "rollback"
)

// specification is what an environment is to be: a file, and flags that come before what it says.
type specification struct {
	file                string
	cluster, definition string
	attributes          []string
	query               string
	minimum, maximum    int64
	breaker             string
	threshold, bake     int64
	canaryPercent       int64
	canaryQuery         string
	readiness           string
	drainOrder, yield   int64
	tags                []string
	reset               []string
	create              bool
}

// places are where the flags' values stand in a request's body.
var places = map[string]string{
	"cluster": "instanceGroup.cluster", "task-definition": "taskDefinition", "attribute": "instanceGroup.attributes", "query": "instanceGroup.query",
	"minimum-healthy-percent": "deploymentConfiguration.minimumHealthyPercent", "maximum-percent": "deploymentConfiguration.maximumPercent",
	"circuit-breaker": "deploymentConfiguration.deploymentCircuitBreaker", "circuit-breaker-threshold": "deploymentConfiguration.deploymentCircuitBreaker.threshold",
	"bake-minutes": "deploymentConfiguration.bakeTimeInMinutes", "canary-percent": "deploymentConfiguration.canary", "canary-query": "deploymentConfiguration.canary",
	"readiness-attribute": "readinessAttribute", "drain-order": "drainOrder", "scale-in-after-minutes": "scaleInAfterMinutes", "tag": "taskSettings.tags",
}

// resets are what --reset can name: each is null in the merge patch.
var resets = map[string]string{
	"attributes": "instanceGroup.attributes", "query": "instanceGroup.query", "minimum-healthy-percent": places["minimum-healthy-percent"],
	"maximum-percent": places["maximum-percent"], "circuit-breaker": places["circuit-breaker"], "bake-minutes": places["bake-minutes"],
	"canary": places["canary-percent"], "readiness-attribute": places["readiness-attribute"], "drain-order": places["drain-order"],
	"scale-in-after-minutes": places["scale-in-after-minutes"], "tags": places["tag"], "task-settings": "taskSettings",
	"deployment-configuration": "deploymentConfiguration",
}

func (s *specification) flags(cmd *cobra.Command, create bool) {
	s.create = create
	flags := cmd.Flags()
	flags.StringVarP(&s.file, "file", "f", "", "`file` in JSON or YAML with the body of the request, as the API describes it; - for stdin. Flags come before what it says")
	if create {
		flags.StringVar(&s.cluster, "cluster", "", "the cluster, a `name` or an ARN")
	} else {
		flags.StringSliceVar(&s.reset, "reset", nil, "set this back to its default: "+strings.Join(sortedKeys(resets), ", ")+"; may be repeated")
		_ = cmd.RegisterFlagCompletionFunc("reset", cobra.FixedCompletions(sortedKeys(resets), cobra.ShellCompDirectiveNoFileComp))
	}
	flags.StringVar(&s.definition, "task-definition", "", "the task definition: a `family`, family:revision or an ARN; of a family, the newest revision")
	flags.StringArrayVar(&s.attributes, "attribute", nil, "only instances with this attribute, `name=value`, or name for any value; may be repeated, and all must match")
	flags.StringVar(&s.query, "query", "", "only instances that match this `query`, in ECS's cluster query language, as in \"attribute:ecs.os-type == linux\"")
	flags.Int64Var(&s.minimum, "minimum-healthy-percent", 90, "the part of the instances that keeps a running task while a new revision replaces the old one, in `percent`")
	flags.Int64Var(&s.maximum, "maximum-percent", 100, "`percent`: 100 stops an instance's old task first; up to 200 starts the new one beside it on so many more")
	flags.StringVar(&s.breaker, "circuit-breaker", breakerOff, "`kind` of circuit breaker, which ends a deployment whose tasks keep failing: off, pause (it fails, and things stay as they are) or rollback (the last completed deployment comes back)")
	flags.Int64Var(&s.threshold, "circuit-breaker-threshold", 0, "`number` of failures after which it does so (default half of the instances, but 3 to 200)")
	flags.Int64Var(&s.bake, "bake-minutes", 0, "how many `minutes` all tasks have to run before a deployment is completed")
	flags.Int64Var(&s.canaryPercent, "canary-percent", 0, "a new revision comes to this `percent` of the instances first; to the others after \"blox deployments promote\"")
	flags.StringVar(&s.canaryQuery, "canary-query", "", "in place of --canary-percent, the instances that match this `query`")
	flags.StringVar(&s.readiness, "readiness-attribute", "", "custom `attribute` that an instance has while its daemons run, for other tasks' placement constraints")
	flags.Int64Var(&s.drainOrder, "drain-order", 0, "on a DRAINING instance, environments of a lower `number` stop first")
	flags.Int64Var(&s.yield, "scale-in-after-minutes", 0, "an instance with nothing but daemons for so many `minutes` may be given up; 0 for never")
	flags.StringArrayVar(&s.tags, "tag", nil, "tag of the tasks, `key=value`; may be repeated")
	_ = cmd.RegisterFlagCompletionFunc("circuit-breaker", cobra.FixedCompletions([]string{breakerOff, breakerPause, breakerRollback}, cobra.ShellCompDirectiveNoFileComp))
}

// document is the body of a request: what the file says, and the flags that are given.
func (s *specification) document(cmd *cobra.Command, in io.Reader) (map[string]any, error) {
	document := map[string]any{}
	if s.file != "" {
		var err error
		if document, err = readDocument(s.file, in); err != nil {
			return nil, &usageError{cmd, fmt.Errorf("--file: %w", err)}
		}
	}
	for _, name := range s.reset {
		place, known := resets[name]
		if !known {
			return nil, &usageError{cmd, fmt.Errorf("--reset %q: not one of %s", name, strings.Join(sortedKeys(resets), ", "))}
		}
		put(document, place, nil)
	}
	if cmd.Flags().Changed("canary-percent") && cmd.Flags().Changed("canary-query") {
		return nil, &usageError{cmd, errors.New("give one of --canary-percent and --canary-query")}
	}
	attributes, err := pairs(s.attributes, "name")
	if err != nil {
		return nil, &usageError{cmd, fmt.Errorf("--attribute %w", err)}
	}
	tags, err := pairs(s.tags, "key")
	if err != nil {
		return nil, &usageError{cmd, fmt.Errorf("--tag %w", err)}
	}
	breaker, known := map[string]map[string]any{
		breakerOff:      {"enable": false, "rollback": false},
		breakerPause:    {"enable": true, "rollback": false},
		breakerRollback: {"enable": true, "rollback": true},
	}[s.breaker]
	if !known {
		return nil, &usageError{cmd, fmt.Errorf("--circuit-breaker %q: not one of off, pause, rollback", s.breaker)}
	}
	values := map[string]any{
		"cluster": s.cluster, "task-definition": s.definition, "attribute": attributes, "query": s.query,
		"minimum-healthy-percent": s.minimum, "maximum-percent": s.maximum, "bake-minutes": s.bake,
		"readiness-attribute": s.readiness, "drain-order": s.drainOrder, "scale-in-after-minutes": s.yield, "tag": tags,
		// A merge patch would keep the one that is not given.
		"canary-percent": s.only("percent", s.canaryPercent, "query"), "canary-query": s.only("query", s.canaryQuery, "percent"),
	}
	for name, value := range values {
		if flag := cmd.Flags().Lookup(name); flag != nil && flag.Changed {
			put(document, places[name], value)
		}
	}
	if cmd.Flags().Changed("circuit-breaker") {
		for field, value := range breaker {
			put(document, places["circuit-breaker"]+"."+field, value)
		}
	}
	if cmd.Flags().Changed("circuit-breaker-threshold") {
		put(document, places["circuit-breaker-threshold"], s.threshold)
	}
	return document, nil
}

func (s *specification) only(field string, value any, other string) map[string]any {
	if s.create {
		return map[string]any{field: value}
	}
	return map[string]any{field: value, other: nil}
}

// put sets what is at a place, such as a.b.c, and makes what is around it.
func put(document map[string]any, place string, value any) {
	first, rest, deeper := strings.Cut(place, ".")
	if !deeper {
		document[first] = value
		return
	}
	inner, is := document[first].(map[string]any)
	if !is {
		inner = map[string]any{}
		document[first] = inner
	}
	put(inner, rest, value)
}

// take removes what is at a place, and returns it.
func take(document map[string]any, place string) any {
	first, rest, deeper := strings.Cut(place, ".")
	if deeper {
		inner, _ := document[first].(map[string]any)
		return take(inner, rest)
	}
	value := document[first]
	delete(document, first)
	return value
}

// pairs reads name=value, or name alone, into {"<name>": name, "value": value}.
func pairs(given []string, name string) ([]any, error) {
	list := []any{}
	for _, text := range given {
		key, value, _ := strings.Cut(text, "=")
		if key == "" {
			return nil, fmt.Errorf("%q: not %s=value", text, name)
		}
		pair := map[string]any{name: key}
		if value != "" {
			pair["value"] = value
		}
		list = append(list, pair)
	}
	return list, nil
}

// longestFile is more than any request that the API takes, in bytes.
const longestFile = 4 << 20

// readDocument reads a JSON or YAML object.
func readDocument(name string, in io.Reader) (map[string]any, error) {
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	body, err := io.ReadAll(io.LimitReader(in, longestFile))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var document map[string]any
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) { // YAML knows no tabs between JSON's tokens
		decoder := json.NewDecoder(bytes.NewReader(body))
		decoder.UseNumber()
		if err = decoder.Decode(&document); err == nil {
			err = alone(decoder.Decode(new(any)))
		}
	} else {
		decoder := yaml.NewDecoder(bytes.NewReader(body))
		if err = decoder.Decode(&document); err == nil {
			err = alone(decoder.Decode(new(yaml.Node)))
		} else if errors.Is(err, io.EOF) {
			err = nil // there is nothing, as is told below
		}
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: neither JSON nor YAML of an object: %w", name, err)
	case document == nil:
		return nil, fmt.Errorf("%s is empty", name)
	}
	return document, nil
}

// alone is nil when next, the reading of what comes after a document, says that there is nothing.
func alone(next error) error {
	switch {
	case next == nil:
		return errors.New("there is more than one")
	case errors.Is(next, io.EOF):
		return nil
	}
	return next
}

// strictly tells what in the body of a new environment the API does not know, and would ignore.
func strictly(body []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(new(models.CreateEnvironmentRequest))
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		return fmt.Errorf("%s is a %s, where %s should be", wrongType.Field, wrongType.Value, wrongType.Type)
	}
	if err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
