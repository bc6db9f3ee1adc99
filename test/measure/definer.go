package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/test/rig"
)

const (
	schemaFields  = 150 // about 30 KB with their descriptions
	fieldsPerPart = 10
)

// startDefiner has resources defined by a process of its own and waits until all are served. elsewhere gives it only the time that nobody else
// wants, so that others are measured as if it had a machine of its own.
func startDefiner(door *rig.Door, count int, elsewhere bool) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{self, "-define", door.URL, "-data-dir", door.DataDir, "-definitions", strconv.Itoa(count)}
	if elsewhere {
		args = append([]string{"nice", "-n", "19"}, args...)
	}
	command := exec.Command(args[0], args[1:]...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("defining %d resources: %w", count, err)
	}
	return nil
}

// define has resources defined and waits until all are served.
func define(url, dataDir string, count int) error {
	door, err := rig.Open(url, dataDir)
	if err != nil {
		return err
	}
	defer door.Close()
	ctx := context.Background()
	begin := time.Now()
	err = each(count, func(i int) error {
		return door.Create(ctx, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", largeDefinition(i))
	})
	if err != nil {
		return err
	}
	stored := time.Since(begin)
	for i := range count {
		if err := door.WaitFor(ctx, collection(i)); err != nil {
			return err
		}
	}
	fmt.Printf("%d definitions stored after %.1f s, all served after %.1f s\n", count, stored.Seconds(), time.Since(begin).Seconds())
	return nil
}

// largeDefinition has a schema of about 30 KB.
func largeDefinition(i int) *apiextensionsv1.CustomResourceDefinition {
	parts := map[string]apiextensionsv1.JSONSchemaProps{}
	for f := range schemaFields {
		part := fmt.Sprint("part", f/fieldsPerPart)
		if parts[part].Properties == nil {
			parts[part] = apiextensionsv1.JSONSchemaProps{Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{}}
		}
		length := int64(100)
		parts[part].Properties[fmt.Sprint("field", f%fieldsPerPart)] = apiextensionsv1.JSONSchemaProps{
			Type: "string", MaxLength: &length, Pattern: "^[a-z]*$",
			Description: "What this field means is told at some length, as the schemas that generators make of Go types do, which take " +
				"over the comments of the fields whole.",
		}
	}
	name := fmt.Sprintf("kind%d", i)
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: name + "s." + groupOf(i)},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: groupOf(i), Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: name + "s", Singular: name, Kind: kindOf(i), ListKind: kindOf(i) + "List"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"spec": {Type: "object", Properties: parts}},
				}},
			}},
		},
	}
}
