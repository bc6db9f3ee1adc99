// Command portico is a front door for Kubernetes-style APIs.
package main

func main() {}
