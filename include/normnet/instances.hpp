// The library's templates for float that normnet::compiled holds: a program that links it need not compile them.
#pragma once

#include <normnet/core/batch.hpp>
#include <normnet/data/data_loader.hpp>
#include <normnet/nn/activation.hpp>
#include <normnet/nn/adaptive_avg_pool2d.hpp>
#include <normnet/nn/avg_pool2d.hpp>
#include <normnet/nn/batch_norm2d.hpp>
#include <normnet/nn/conv2d.hpp>
#include <normnet/nn/cross_entropy_loss.hpp>
#include <normnet/nn/dropout.hpp>
#include <normnet/nn/flatten.hpp>
#include <normnet/nn/group_norm.hpp>
#include <normnet/nn/instance_norm2d.hpp>
#include <normnet/nn/layer_norm.hpp>
#include <normnet/nn/linear.hpp>
#include <normnet/nn/log_softmax.hpp>
#include <normnet/nn/max_pool2d.hpp>
#include <normnet/nn/nll_loss.hpp>
#include <normnet/nn/residual.hpp>
#include <normnet/nn/sequential.hpp>
#include <normnet/nn/softmax.hpp>
#include <normnet/optim/cosine_annealing_lr.hpp>
#include <normnet/optim/multi_step_lr.hpp>
#include <normnet/optim/one_cycle_lr.hpp>
#include <normnet/optim/sgd.hpp>
#include <normnet/optim/step_lr.hpp>
#include <normnet/train/anomaly.hpp>
#include <normnet/train/trainer.hpp>

// `template` where they are compiled, `extern template` where they are used.
#ifndef NORMNET_INSTANCES
#define NORMNET_INSTANCES extern template
#endif

namespace normnet::inline NORMNET_ABI {

NORMNET_INSTANCES class Batch<float>;

NORMNET_INSTANCES class AdaptiveAvgPool2d<float>;
NORMNET_INSTANCES class AvgPool2d<float>;
NORMNET_INSTANCES class BatchNorm2d<float>;
NORMNET_INSTANCES class Conv2d<float>;
NORMNET_INSTANCES class Dropout<float>;
NORMNET_INSTANCES class Flatten<float>;
NORMNET_INSTANCES class GlobalAvgPool2d<float>;
NORMNET_INSTANCES class GroupNorm<float>;
NORMNET_INSTANCES class InstanceNorm2d<float>;
NORMNET_INSTANCES class LayerNorm<float>;
NORMNET_INSTANCES class Linear<float>;
NORMNET_INSTANCES class LogSoftmax<float>;
NORMNET_INSTANCES class MaxPool2d<float>;
NORMNET_INSTANCES class Residual<float>;
NORMNET_INSTANCES class Sequential<float>;
NORMNET_INSTANCES class Softmax<float>;

NORMNET_INSTANCES class Activation<float, normnet_impl::formulas::ELU<float>>;
NORMNET_INSTANCES class Activation<float, normnet_impl::formulas::GELU<float>>;
NORMNET_INSTANCES class Activation<float, normnet_impl::formulas::LeakyReLU<float>>;
NORMNET_INSTANCES class Activation<float, normnet_impl::formulas::ReLU6<float>>;
NORMNET_INSTANCES class Activation<float, normnet_impl::formulas::ReLU<float>>;
NORMNET_INSTANCES class Activation<float, normnet_impl::formulas::SiLU<float>>;
NORMNET_INSTANCES class Activation<float, normnet_impl::formulas::Sigmoid<float>>;
NORMNET_INSTANCES class Activation<float, normnet_impl::formulas::Softplus<float>>;
NORMNET_INSTANCES class Activation<float, normnet_impl::formulas::Tanh<float>>;

NORMNET_INSTANCES class CrossEntropyLoss<float>;
NORMNET_INSTANCES class NLLLoss<float>;

NORMNET_INSTANCES class CosineAnnealingLR<float>;
NORMNET_INSTANCES class MultiStepLR<float>;
NORMNET_INSTANCES class OneCycleLR<float>;
NORMNET_INSTANCES class Optimizer<float>;
NORMNET_INSTANCES class SGD<float>;
NORMNET_INSTANCES class Scheduler<float>;
NORMNET_INSTANCES class StepLR<float>;

NORMNET_INSTANCES class AnomalyDetector<float>;
NORMNET_INSTANCES class DataLoader<float>;
NORMNET_INSTANCES class Trainer<float>;

}  // namespace normnet::inline NORMNET_ABI
