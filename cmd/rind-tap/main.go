// Command rind-tap is the sensor: it captures packets and sends summaries.
package main

import (
	"os"

	"github.com/rind-project/rind/internal/app/tap"
)

func main() { os.Exit(tap.Main(os.Args[1:], os.Stdout, os.Stderr)) }
